// Every layer's kernels, with every sample, on a CUDA device and on the CPU: the same numbers in
// all types of activations. A real device in a CUDA build where there is one, an emulated or a
// simulated one elsewhere.
#include <gtest/gtest.h>

#include <cmath>

#include "detect/head.h"
#include "nn/layer.h"
#include "tests/layer_harness.h"
#include "train/device_check.h"

namespace darknet::testing_layers {
namespace {

constexpr Device kCuda{.type = DeviceType::cuda};

struct Precision {
  DType type;
  double allowed;  // relative to the largest number of a tensor
};
// One rounding to 16 bits apart, and what a layer makes of it.
constexpr Precision kPrecisions[] = {{DType::f32, 2e-5}, {DType::f16, 4e-3}, {DType::bf16, 3e-2}};

class DeviceLayerTest : public testing::TestWithParam<LayerSample> {};

// What a pass leaves on its device.
struct Left {
  std::vector<std::pair<std::string, std::vector<float>>> tensors;
  std::vector<std::pair<std::string, double>> losses;
};

Left passes(Trial& t) {
  Left left;
  const auto keep = [&](const std::string& what, const TensorView& tensor) {
    if (tensor) left.tensors.emplace_back(what, to_host(t.stream, tensor));
  };
  for (const bool add : {false, true}) {
    t.forward();
    keep("output", t.out.view());
    if (const Head* const head = t.layer->head())
      left.losses.emplace_back("loss", head->telemetry(t.stream).loss());
    t.backward(add, add ? 2.5f : NAN);
    for (const Tensor& g : t.in_gradient) keep("gradient of the input", g.view());
    for (const Parameter* p : t.layer->parameters()) {
      keep("parameter", p->value.view());
      keep("gradient of a parameter", p->gradient);
    }
  }
  return left;
}

TEST_P(DeviceLayerTest, ComputesWhatTheCpuDoes) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  for (const Precision& precision : kPrecisions) {
    // Plain loops, which know every type on every CPU.
    Trial here(GetParam(), Mode::training, Order::parallel, precision.type, reference_ops());
    if (here.type != precision.type) continue;  // a layer in f32 whatever is asked
    Trial there(GetParam(), Mode::training, Order::parallel, precision.type, ops(DeviceType::cuda),
                kCuda);
    const Left expected = passes(here), got = passes(there);
    ASSERT_EQ(got.tensors.size(), expected.tensors.size());
    for (std::size_t i = 0; i < got.tensors.size(); ++i)
      EXPECT_LE(difference(got.tensors[i].second, expected.tensors[i].second).relative,
                precision.allowed)
          << expected.tensors[i].first << " in " << name_of(precision.type);
    for (std::size_t i = 0; i < got.losses.size(); ++i)
      EXPECT_NEAR(got.losses[i].second, expected.losses[i].second,
                  precision.allowed * std::fabs(expected.losses[i].second));
  }
}

INSTANTIATE_TEST_SUITE_P(Layers, DeviceLayerTest, testing::ValuesIn(layer_samples()),
                         name_of_sample);

}  // namespace
}  // namespace darknet::testing_layers
