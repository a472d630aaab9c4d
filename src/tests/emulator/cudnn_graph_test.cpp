// What the emulated cuDNN computes of a graph, and what it refuses, each next to a like case that
// it accepts.
#include <cmath>

#include "tests/emulator/cudnn_graph_fixture.h"

namespace emulator {
namespace {

std::vector<Call> shapes() {
  return {{},
          {.n = 2, .c = 6, .filters = 9, .groups = 3},
          {.c = 4, .filters = 4, .groups = 4, .stride_y = 2, .stride_x = 1},
          {.n = 2, .size_y = 1, .size_x = 3, .pad_y = 0, .pad_x = 2, .stride_y = 2, .stride_x = 3},
          {.c = 2,
           .h = 7,
           .w = 9,
           .filters = 2,
           .groups = 2,
           .pad_y = 2,
           .dilation_y = 2,
           .dilation_x = 3}};
}

TEST_F(CudnnGraph, ConvolutionsAreSumsOfProducts) {
  for (const cudnnDataType_t type : kTypes)
    for (const Call& shape : shapes()) {
      const Call c = shape.typed(type);
      const auto memory = memory_for(c);
      ASSERT_EQ(run(plan_of(graph_of(c)), memory), kOk);
      expect(type, memory[2], convolved(c));
    }
}

TEST_F(CudnnGraph, SixteenBitsGiveAnF32OutputForwardsOnly) {
  Call c = Call{}.typed(CUDNN_DATA_HALF);
  c.y_type = CUDNN_DATA_FLOAT;
  const auto memory = memory_for(c);
  EXPECT_TRUE(proposals(graph_of(c)).empty());
  ASSERT_EQ(run(plan_of(graph_of(c)), memory), kOk);
  expect(CUDNN_DATA_FLOAT, memory[2], convolved(c));
  const auto known = [&](const Call& call) {
    return !proposals(graph_of(call), CUDNN_HEUR_MODE_FALLBACK).empty();
  };
  for (const auto kind : {kData, kFilters}) {
    c.kind = kind;
    EXPECT_FALSE(known(c));
  }
  c.kind = kForward, c.c = 3;  // channels come in pairs
  EXPECT_FALSE(known(c));
  EXPECT_TRUE(known(Call{.c = 3}.typed(CUDNN_DATA_HALF)));
}

TEST_F(CudnnGraph, GradientsAreSumsOfProducts) {
  for (const cudnnDataType_t type : kTypes)
    for (const Call& shape : shapes()) {
      Call c = shape.typed(type);
      const std::vector<float> x = numbers(product(c.x()), 5), w = numbers(product(c.weights()), 3),
                               g = numbers(product(c.y()), 3);
      std::vector<float> of_x(x.size()), of_w(w.size());
      c.for_products(
          [&](auto i, auto k, auto o) { of_x[i] += g[o] * w[k], of_w[k] += g[o] * x[i]; });
      std::vector<const void*> memory = memory_for(c);
      memory[2] = values(type, g);
      const void *const dx = on_device<float>(x.size()), *const dw = on_device<float>(w.size());
      c.kind = kData;
      ASSERT_EQ(run(plan_of(graph_of(c)), {dx, memory[1], memory[2]}), kOk);
      expect(type, dx, of_x);
      c.kind = kFilters;
      ASSERT_EQ(run(plan_of(graph_of(c)), {memory[0], dw, memory[2]}), kOk);
      expect(type, dw, of_w);
      c.alpha = -1, c.beta = 1;  // what is there is added to
      ASSERT_EQ(run(plan_of(graph_of(c)), {memory[0], dw, memory[2]}), kOk);
      expect(type, dw, std::vector<float>(of_w.size()));
    }
}

// Fresh memory is full of NaN: beta = 0 must not multiply it.
TEST_F(CudnnGraph, BetaOfZeroDoesNotReadTheOutput) {
  Call c;
  c.alpha = 2;
  const auto memory = memory_for(c);
  std::vector<float> y = convolved(c);
  ASSERT_EQ(run(plan_of(graph_of(c)), memory), kOk);
  for (float& v : y) v *= 2;
  expect(CUDNN_DATA_FLOAT, memory[2], y);
  c.beta = .5f;
  ASSERT_EQ(run(plan_of(graph_of(c)), memory), kOk);
  for (float& v : y) v *= 1.5f;
  expect(CUDNN_DATA_FLOAT, memory[2], y);
}

TEST_F(CudnnGraph, ABiasAndAnActivationFollow) {
  struct Case {
    cudnnPointwiseMode_t mode;
    double slope;
    float (*value)(float);
  };
  const Case cases[] = {
      {CUDNN_POINTWISE_IDENTITY, 0, [](float x) { return x; }},
      {CUDNN_POINTWISE_RELU_FWD, 0, [](float x) { return x > 0 ? x : 0; }},
      {CUDNN_POINTWISE_RELU_FWD, .25, [](float x) { return x > 0 ? x : .25f * x; }},
      {CUDNN_POINTWISE_SIGMOID_FWD, 0, [](float x) { return 1 / (1 + std::exp(-x)); }},
      {CUDNN_POINTWISE_TANH_FWD, 0, [](float x) { return std::tanh(x); }},
      {CUDNN_POINTWISE_SWISH_FWD, 0, [](float x) { return x / (1 + std::exp(-x)); }}};
  const Call c;
  const std::vector<float> bias = numbers(4, 7);
  for (const Case& k : cases) {
    const Descriptor sum = finalized(tensor(5, CUDNN_DATA_FLOAT, c.y(), false));
    const Descriptor with_bias = finalized(tensor(6, CUDNN_DATA_FLOAT, c.y(), false));
    const Descriptor b = finalized(tensor(4, CUDNN_DATA_FLOAT, {1, 4, 1, 1}));
    const Descriptor y = finalized(tensor(3, CUDNN_DATA_FLOAT, c.y()));
    const Descriptor g = finalized(graph(
        {finalized(operation(c, sum)), finalized(pointwise(CUDNN_POINTWISE_ADD, sum, b, with_bias)),
         finalized(pointwise(k.mode, with_bias, nullptr, y, k.slope))}));
    std::vector<const void*> memory = memory_for(c);
    memory.push_back(filled(bias));
    ASSERT_EQ(run(plan_of(g), memory), kOk);
    std::vector<float> expected = convolved(c);
    for (std::size_t i = 0; i < expected.size(); ++i)
      expected[i] = k.value(expected[i] + bias[i % 4]);
    expect(CUDNN_DATA_FLOAT, memory[2], expected);
  }
}

// x tanh(log(1 + e^x)), in 16 bits: only the last tensor is rounded.
TEST_F(CudnnGraph, MishIsAChain) {
  const Call c = Call{}.typed(CUDNN_DATA_HALF);
  std::vector<Descriptor> steps;
  for (std::int64_t id = 5; id < 9; ++id)
    steps.push_back(finalized(tensor(id, CUDNN_DATA_FLOAT, c.y(), false)));
  const Descriptor b = finalized(tensor(4, CUDNN_DATA_FLOAT, {1, 4, 1, 1}));
  const Descriptor y = finalized(tensor(3, CUDNN_DATA_HALF, c.y()));
  const Descriptor g = finalized(
      graph({finalized(operation(c, steps[0])),
             finalized(pointwise(CUDNN_POINTWISE_ADD, steps[0], b, steps[1])),
             finalized(pointwise(CUDNN_POINTWISE_SOFTPLUS_FWD, steps[1], nullptr, steps[2])),
             finalized(pointwise(CUDNN_POINTWISE_TANH_FWD, steps[2], nullptr, steps[3])),
             finalized(pointwise(CUDNN_POINTWISE_MUL, steps[1], steps[3], y))}));
  std::vector<const void*> memory = memory_for(c);
  memory.push_back(filled(std::vector<float>(4, .5f)));
  ASSERT_EQ(run(plan_of(g), memory), kOk);
  std::vector<float> expected = convolved(c);
  for (float& v : expected) v = (v + .5f) * std::tanh(std::log1p(std::exp(v + .5f)));
  expect(CUDNN_DATA_HALF, memory[2], expected);
}

TEST_F(CudnnGraph, FusedGraphsAreConvolutionBiasActivation) {
  const auto known = [&](cudnnDataType_t between, const Numbers& bias, cudnnDataType_t bias_type) {
    const Call c;
    const Descriptor sum = finalized(tensor(5, between, c.y(), false));
    const Descriptor b = finalized(tensor(4, bias_type, bias));
    const Descriptor y = finalized(tensor(3, CUDNN_DATA_FLOAT, c.y()));
    return !proposals(finalized(graph({finalized(operation(c, sum)),
                                       finalized(pointwise(CUDNN_POINTWISE_ADD, sum, b, y))})))
                .empty();
  };
  EXPECT_TRUE(known(CUDNN_DATA_FLOAT, {1, 4, 1, 1}, CUDNN_DATA_FLOAT));
  EXPECT_FALSE(known(CUDNN_DATA_HALF, {1, 4, 1, 1}, CUDNN_DATA_FLOAT));
  EXPECT_FALSE(known(CUDNN_DATA_FLOAT, {1, 1, 1, 1}, CUDNN_DATA_FLOAT));
  EXPECT_FALSE(known(CUDNN_DATA_FLOAT, {1, 4, 1, 1}, CUDNN_DATA_HALF));
}

TEST_F(CudnnGraph, TheWorkspaceIsOverwritten) {
  const Descriptor p = plan_of(graph_of({}));
  const auto bytes = static_cast<std::size_t>(workspace_of(p));
  ASSERT_GT(bytes, 0u);
  const std::vector<unsigned char> zeros(bytes), ones(bytes, 0xFF);
  unsigned char* const workspace = filled(zeros);
  EXPECT_EQ(cudnnBackendExecute(handle_, p, finalized(pack(memory_for({}), workspace))), kOk);
  EXPECT_EQ(contents(workspace, bytes), ones);
}

TEST_F(CudnnGraph, WorkWaitsInTheStream) {
  const Call c;
  const auto memory = memory_for(c);
  const std::size_t n = product(c.y());
  float* const to = locked(n, -7.f);
  EXPECT_EQ(run(plan_of(graph_of(c)), memory), kOk);
  EXPECT_EQ(to_host(to, static_cast<const float*>(memory[2]), n, a_), cudaSuccess);
  EXPECT_EQ(to[0], -7);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(std::vector(to, to + n), convolved(c));
}

TEST_F(CudnnGraph, AttributesHaveTypesAndCountsAndATime) {
  const Descriptor t = tensor(1, CUDNN_DATA_FLOAT, {1, 4, 5, 6});
  constexpr auto kId = CUDNN_ATTR_TENSOR_UNIQUE_ID;
  EXPECT_EQ(set(t, kId, CUDNN_TYPE_DOUBLE, std::vector{1.}), CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
  EXPECT_EQ(set(t, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE,
                std::vector{CUDNN_POINTWISE_ADD}),
            kBad);
  EXPECT_EQ(set(t, kId, CUDNN_TYPE_INT64, Numbers{1, 2}), kBad);
  EXPECT_EQ(set(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, Numbers{120, 1, 24}), kBad);
  EXPECT_EQ(cudnnBackendSetAttribute(t, kId, CUDNN_TYPE_INT64, 1, nullptr),
            CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(cudnnBackendSetAttribute(nullptr, kId, CUDNN_TYPE_INT64, 1, &handle_),
            CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(set(t, kId, CUDNN_TYPE_INT64, Numbers{2}), kOk);
  finalized(t);
  EXPECT_EQ(set(t, kId, CUDNN_TYPE_INT64, Numbers{3}), kBad);
  finalized(t, kBad);
  const Descriptor p = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  std::int64_t count = 0, bytes = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(p, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                     1, &count, &bytes),
            CUDNN_STATUS_NOT_INITIALIZED);
  Descriptor gone = nullptr;
  cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &gone);
  EXPECT_EQ(cudnnBackendDestroyDescriptor(gone), kOk);
  EXPECT_EQ(cudnnBackendDestroyDescriptor(gone), kBad);
}

// cuDNN accepts a double here and computes with 0 (cudnn_backend.cpp).
TEST_F(CudnnGraph, AConvolutionsScalesAreOfTheTypeItComputesIn) {
  const Descriptor o = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  for (const auto name : {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA}) {
    EXPECT_EQ(set(o, name, CUDNN_TYPE_DOUBLE, std::vector{1.}),
              CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    EXPECT_EQ(set(o, name, CUDNN_TYPE_FLOAT, std::vector{1.f}), kOk);
  }
}

// What each kind of descriptor cannot do without.
TEST_F(CudnnGraph, WhatIsRequiredIsAskedFor) {
  for (const auto type :
       {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, kForward, kData,
        kFilters, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
        CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
        CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR})
    finalized(make(type), kBad);
}

TEST_F(CudnnGraph, TensorsHaveTypesLayoutsAndAlignments) {
  const auto status = [&](cudnnBackendAttributeName_t name, const Numbers& v) {
    const Descriptor t = tensor(1, CUDNN_DATA_FLOAT, {1, 4, 5, 6});
    EXPECT_EQ(set(t, name, CUDNN_TYPE_INT64, v), kOk);
    return cudnnBackendFinalize(t);
  };
  EXPECT_EQ(status(CUDNN_ATTR_TENSOR_STRIDES, {120, 1, 24, 4}), kOk);
  EXPECT_EQ(status(CUDNN_ATTR_TENSOR_STRIDES, {120, 30, 6, 1}), CUDNN_STATUS_NOT_SUPPORTED_LAYOUT);
  EXPECT_EQ(status(CUDNN_ATTR_TENSOR_DIMENSIONS, {1, 4, 0, 6}), kBad);
  EXPECT_EQ(status(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {4}), kOk);
  for (const std::int64_t bytes : {0, 2, 6})
    EXPECT_EQ(status(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {bytes}), kBad);
  finalized(tensor(1, CUDNN_DATA_DOUBLE, {1, 4, 5, 6}), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
}

TEST_F(CudnnGraph, ConvolutionsHaveAGeometry) {
  const auto status = [&](auto change) {
    Call c;
    change(c);
    return cudnnBackendFinalize(convolution(c));
  };
  EXPECT_EQ(status([](Call&) {}), kOk);
  EXPECT_EQ(status([](Call& c) { c.pad_x = -1; }), kBad);
  EXPECT_EQ(status([](Call& c) { c.stride_y = 0; }), kBad);
  EXPECT_EQ(status([](Call& c) { c.dilation_x = 0; }), kBad);
  const Descriptor flipped = convolution({}), uneven = convolution({}), half = convolution({});
  set(flipped, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
      std::vector{CUDNN_CONVOLUTION});
  finalized(flipped, CUDNN_STATUS_NOT_SUPPORTED);
  set(uneven, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, Numbers{1, 0});
  finalized(uneven, CUDNN_STATUS_NOT_SUPPORTED_PADDING);
  set(half, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_HALF});
  finalized(half, CUDNN_STATUS_NOT_SUPPORTED);
}

TEST_F(CudnnGraph, ShapesThatDoNotFitAreRefused) {
  struct Case {
    const char* name;
    void (*change)(Call&);
  };
  const Case cases[] = {{"channels", [](Call& c) { c.filter_channels = 3; }},
                        {"groups", [](Call& c) { c.filter_channels = 2, c.filters = 3; }},
                        {"output height", [](Call& c) { c.out_h = 4; }},
                        {"output channels", [](Call& c) { c.out_c = 5; }},
                        {"no place for a filter", [](Call& c) {
                           c.h = c.w = 2, c.pad_y = c.pad_x = 0, c.stride_y = c.stride_x = 2;
                         }}};
  for (const Case& k : cases)
    for (const auto kind : {kForward, kData, kFilters}) {
      SCOPED_TRACE(k.name);
      Call c{.kind = kind};
      finalized(operation(c));
      k.change(c);
      finalized(operation(c), kBad);
    }
}

TEST_F(CudnnGraph, PointwiseOperandsFit) {
  const Numbers shape{2, 4, 5, 6};
  const Descriptor a = finalized(tensor(1, CUDNN_DATA_FLOAT, shape));
  const auto status = [&](const Numbers& b, const Numbers& y) {
    return cudnnBackendFinalize(pointwise(CUDNN_POINTWISE_ADD, a,
                                          finalized(tensor(2, CUDNN_DATA_FLOAT, b)),
                                          finalized(tensor(3, CUDNN_DATA_FLOAT, y))));
  };
  EXPECT_EQ(status(shape, shape), kOk);
  EXPECT_EQ(status({1, 4, 1, 1}, shape), kOk);
  EXPECT_EQ(status({1, 3, 1, 1}, shape), kBad);
  EXPECT_EQ(status(shape, {2, 4, 5, 5}), kBad);
  const Descriptor y = finalized(tensor(3, CUDNN_DATA_FLOAT, shape));
  finalized(pointwise(CUDNN_POINTWISE_ADD, a, nullptr, y), kBad);
  finalized(pointwise(CUDNN_POINTWISE_RELU_FWD, a, a, y), kBad);
  finalized(pointwise(CUDNN_POINTWISE_RELU_FWD, a, nullptr, y));
}

TEST_F(CudnnGraph, GraphsHoldTogether) {
  const Call c;
  constexpr auto kNotFinalized = CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
  finalized(graph({operation(c)}), kNotFinalized);
  finalized(operation(c, tensor(3, CUDNN_DATA_FLOAT, c.y())), kNotFinalized);
  const Descriptor sum = finalized(tensor(5, CUDNN_DATA_FLOAT, c.y(), false));
  const Descriptor b = finalized(tensor(4, CUDNN_DATA_FLOAT, {1, 4, 1, 1}));
  const Descriptor y = finalized(tensor(3, CUDNN_DATA_FLOAT, c.y()));
  const Descriptor first = finalized(operation(c, sum));
  const Descriptor second = finalized(pointwise(CUDNN_POINTWISE_ADD, sum, b, y));
  finalized(graph({first, second}));
  finalized(graph({first}), kBad);          // what nobody reads
  finalized(graph({second}), kBad);         // what nobody computes
  finalized(graph({second, first}), kBad);  // before it is computed
  finalized(graph({first, first, second}), kBad);
  const Descriptor same_id = finalized(tensor(1, CUDNN_DATA_FLOAT, {1, 4, 1, 1}));
  finalized(graph({first, finalized(pointwise(CUDNN_POINTWISE_ADD, sum, same_id, y))}),
            CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
}

TEST_F(CudnnGraph, ProposalsSayWhatTheyDo) {
  Call c;
  const std::vector<Proposal> all = proposals(graph_of(c));
  const auto with = [&](cudnnBackendNumericalNote_t note) {
    return std::ranges::count_if(all, [&](const Proposal& p) { return p.has(note); });
  };
  for (const auto note :
       {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
        CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC,
        CUDNN_NUMERICAL_NOTE_WINOGRAD})
    EXPECT_GT(with(note), 0) << note;
  EXPECT_EQ(proposals(graph_of(c), CUDNN_HEUR_MODE_FALLBACK).size(), 1u);
  c.w_type = CUDNN_DATA_HALF;
  EXPECT_TRUE(proposals(graph_of(c)).empty());
  EXPECT_TRUE(proposals(graph_of(c), CUDNN_HEUR_MODE_FALLBACK).empty());
  c = {.h = 1 << 15, .w = 1 << 14};  // 2^31 elements
  EXPECT_TRUE(proposals(graph_of(c)).empty());
}

// 1 + 2^-12 needs more bits than f16 has.
TEST_F(CudnnGraph, WhatRoundsGivesOtherNumbers) {
  const Call c{
      .c = 1, .h = 1, .w = 1, .filters = 1, .size_y = 1, .size_x = 1, .pad_y = 0, .pad_x = 0};
  const float x = 1 + 1.f / 4096;
  for (const Proposal& p : proposals(graph_of(c))) {
    const std::vector<const void*> memory{filled(std::vector{x}), filled(std::vector{1.f}),
                                          on_device<float>(1)};
    ASSERT_EQ(run(finalized(plan(p.config)), memory), kOk);
    const bool rounds = p.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) ||
                        p.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
    EXPECT_EQ(contents(static_cast<const float*>(memory[2]), 1)[0], rounds ? 1 : x) << p.index;
  }
}

TEST_F(CudnnGraph, CallsGiveEveryTensorAndAWorkspace) {
  const Descriptor p = plan_of(graph_of({}));
  const auto good = memory_for({});
  void* const workspace = on_device<unsigned char>(static_cast<std::size_t>(workspace_of(p)));
  const auto status = [&](std::vector<const void*> pointers, void* at) {
    return cudnnBackendExecute(handle_, p, finalized(pack(std::move(pointers), at)));
  };
  EXPECT_EQ(status(good, workspace), kOk);
  EXPECT_EQ(status(good, nullptr), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(status({good[0], good[1]}, workspace), kBad);
  for (std::size_t i = 0; i < 3; ++i) {
    auto pointers = good;
    pointers[i] = nullptr;
    EXPECT_EQ(status(pointers, workspace), CUDNN_STATUS_BAD_PARAM_NULL_POINTER) << i;
    pointers[i] = shifted(good[i], 8);
    EXPECT_EQ(status(pointers, workspace), CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER) << i;
  }
  const Descriptor uneven = pack(good, workspace), twice = pack(good, workspace);
  set(uneven, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, Numbers{1, 2});
  finalized(uneven, kBad);
  set(twice, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, Numbers{1, 2, 1});
  finalized(twice, CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
  const Descriptor open = pack(good, workspace), ready = finalized(pack(good, workspace));
  EXPECT_EQ(cudnnBackendExecute(handle_, p, open), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  EXPECT_EQ(cudnnBackendExecute(handle_, plan(proposals(graph_of({}))[0].config), ready),
            CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  EXPECT_EQ(cudnnBackendExecute(handle_, ready, ready), CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
}

TEST_F(CudnnGraph, HandlesBelongToADevice) {
  const Descriptor p = plan_of(graph_of({}));
  const auto memory = memory_for({});
  cudaSetDevice(1);
  EXPECT_EQ(cudnnSetStream(handle_, stream()), CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
  EXPECT_EQ(run(p, memory), CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
  cudaSetDevice(0);
  EXPECT_EQ(cudnnSetStream(handle_, b_), kOk);
  EXPECT_EQ(run(p, memory), kOk);
  cudaGraph_t captured = nullptr;
  cudnnHandle_t other = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_NE(cudnnCreate(&other), kOk);
  EXPECT_EQ(cudaStreamEndCapture(a_, &captured), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CudnnGraph, TensorsLieInTheirMemory) {
  const Descriptor p = plan_of(graph_of({}));
  const auto good = memory_for({});
  const auto bytes = static_cast<std::size_t>(workspace_of(p));
  const auto executed = [&](const std::vector<const void*>& pointers, std::size_t workspace) {
    const Descriptor v = finalized(pack(pointers, on_device<unsigned char>(workspace)));
    EXPECT_EQ(cudnnBackendExecute(handle_, p, v), kOk);
    return cudaStreamSynchronize(a_);
  };
  for (std::size_t i = 0; i < 3; ++i)
    expect_in_child([&] {
      auto pointers = good;
      pointers[i] = shifted(good[i], 16);
      EXPECT_EQ(executed(pointers, bytes), cudaErrorIllegalAddress);
    });
  expect_in_child([&] { EXPECT_EQ(executed(good, bytes - 1), cudaErrorIllegalAddress); });
  EXPECT_EQ(executed(good, bytes), cudaSuccess);
}

}  // namespace
}  // namespace emulator
