// Launches over whole tensors and over lists of arrays, on the CPU and on a CUDA device (a real
// one, an emulated or a simulated one), at the shapes where a GPU's thread changes what it does:
// several channels at a time or one, several pixels, more pixels than chunks of a fixed size hold.
#include "core/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/copy.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/text.h"
#include "kernels/batch_norm.h"
#include "kernels/update.h"

namespace darknet {
namespace {

constexpr Device kCuda{.type = DeviceType::cuda};
constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

Tensor random_tensor(const Device& device, const Shape& shape, std::uint64_t stream, DType type) {
  std::vector<float> values(to_size(shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = random_uniform(3, stream, i) * 4 - 2;
  Tensor t(device, shape, type);
  t.copy_from({.device = device}, values);
  return t;
}

// The first channels of some are where 16 bytes cannot begin.
struct Slice {
  Shape whole;
  std::int64_t first, count;
};
const Slice kSlices[] = {
    {{1, 3, 5, 1}, 0, 1},   {{2, 9, 7, 3}, 0, 3},         {{1, 4, 4, 24}, 8, 16},
    {{1, 4, 4, 24}, 4, 16}, {{2, 5, 3, 20}, 3, 12},       {{1, 2, 3, 255}, 0, 255},
    {{1, 70, 70, 8}, 0, 8}, {{1, 1, 1, 70000}, 0, 70000}, {{1, 1, 2, 3000}, 8, 2560}};

// A slice copied to a slice of another type, then added to it.
std::vector<float> copied(const Device& device, const Slice& slice, DType from_type,
                          DType to_type) {
  const Stream s{.device = device};
  const Tensor from = random_tensor(device, slice.whole, 1, from_type);
  const Tensor to = random_tensor(device, slice.whole, 2, to_type);
  const TensorView a = from.view().channels(slice.first, slice.count);
  const TensorView b = to.view().channels(slice.first, slice.count);
  copy_pixels(s, a, b);
  put_pixels(s, a, b, true);
  return to.to_host(s);
}

TEST(ElementwiseDeviceTest, CopiesSlicesOfAnyWidthAndType) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  for (const Slice& slice : kSlices)
    for (const DType from : kTypes)
      for (const DType to : kTypes)
        EXPECT_EQ(copied(kCuda, slice, from, to), copied({}, slice, from, to))
            << to_string(slice.whole) << " from " << slice.first << ", " << name_of(from) << " to "
            << name_of(to);
}

TEST(Elementwise, CopiesLeaveTheOtherChannelsAlone) {
  const Slice slice{{1, 2, 2, 20}, 3, 12};
  const std::vector<float> got = copied({}, slice, DType::f32, DType::f32);
  const std::vector<float> from = random_tensor({}, slice.whole, 1, DType::f32).to_host({});
  const std::vector<float> before = random_tensor({}, slice.whole, 2, DType::f32).to_host({});
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto c = static_cast<std::int64_t>(i) % slice.whole.c;
    const bool inside = c >= slice.first && c < slice.first + slice.count;
    EXPECT_EQ(got[i], inside ? 2 * from[i] : before[i]) << i;
  }
}

// What conversions make of every number that 16 bits hold, and of floats between and beyond them.
std::vector<float> converted(const Device& device, const std::vector<float>& values, DType type) {
  const Stream s{.device = device};
  Tensor wide(device, vector_shape(std::ssize(values))), half(device, wide.shape(), type);
  wide.copy_from(s, values);
  copy_pixels(s, wide.view(), half.view());
  copy_pixels(s, half.view(), wide.view());
  return wide.to_host(s);
}

TEST(ElementwiseDeviceTest, ConversionsRoundAsOnTheCpu) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float of_f16 = F16{static_cast<std::uint16_t>(bits)};
    const float of_bf16 = BF16{static_cast<std::uint16_t>(bits)};
    for (const float v : {of_f16, of_bf16})
      if (!std::isnan(v))
        values.insert(values.end(), {v, std::nextafterf(v, INFINITY), v * 1.0007f});
  }
  values.resize(values.size() / 8 * 8);
  for (const DType type : {DType::f16, DType::bf16})
    EXPECT_EQ(converted(kCuda, values, type), converted({}, values, type)) << name_of(type);
  for (const DType type : {DType::f16, DType::bf16})
    EXPECT_TRUE(std::isnan(converted(kCuda, {std::numeric_limits<float>::quiet_NaN()}, type)[0]));
}

struct Normalised {
  std::vector<float> out, gradient;
  std::vector<std::vector<float>> statistics;
};
Normalised normalised(const Device& device, const Shape& shape, DType type) {
  const Stream s{.device = device};
  const auto channel = [&](std::uint64_t k) {
    return random_tensor(device, vector_shape(shape.c), k, DType::f32);
  };
  const Tensor z = random_tensor(device, shape, 1, type), out(device, shape, type);
  const Tensor gradient = random_tensor(device, shape, 2, type);
  const Tensor scale = channel(3), bias = channel(4), mean = channel(5), deviation = channel(6);
  const Tensor rolling_mean = channel(7), rolling_variance = channel(8);
  const Tensor scale_gradient = channel(9), bias_gradient = channel(10);
  const Buffer scratch(device, batch_norm_scratch(shape));
  const BatchNorm b{.activation = activations::Leaky{},
                    .scale = scale.data(),
                    .bias = bias.data(),
                    .rolling_mean = rolling_mean.data(),
                    .rolling_variance = rolling_variance.data(),
                    .mean = mean.data(),
                    .inverse_deviation = deviation.data()};
  batch_norm_forward(s, b, z.view(), out.view(), scratch.data());
  const BatchNormGradient to{gradient.view(), scale_gradient.data(), bias_gradient.data()};
  batch_norm_backward(s, b, z.view(), to, scratch.data());
  Normalised all{out.to_host(s), gradient.to_host(s), {}};
  for (const Tensor* t :
       {&mean, &deviation, &rolling_mean, &rolling_variance, &scale_gradient, &bias_gradient})
    all.statistics.push_back(t->to_host(s));
  return all;
}

// What is not finite would stay in them.
TEST(BatchNorm, KeepsRollingStatisticsFinite) {
  const Shape shape{2, 1, 1, 2};
  Tensor z({}, shape), out({}, shape), ones({}, vector_shape(2)), mean({}, vector_shape(2)),
      deviation({}, vector_shape(2)), rolling({}, vector_shape(4));
  z.copy_from({}, std::vector<float>{3e38f, 1, -3e38f, 3});  // the variance of the first: infinite
  ones.copy_from({}, std::vector<float>{1, 1});
  rolling.copy_from({}, std::vector<float>{.5f, .5f, 1, 1});
  const Buffer scratch({}, batch_norm_scratch(shape));
  batch_norm_forward({},
                     {.scale = ones.data(),
                      .bias = ones.data(),
                      .rolling_mean = rolling.data(),
                      .rolling_variance = rolling.data() + 2,
                      .mean = mean.data(),
                      .inverse_deviation = deviation.data()},
                     z.view(), out.view(), scratch.data());
  const std::vector<float> kept = rolling.to_host({});
  EXPECT_TRUE(std::isfinite(kept[0]));
  EXPECT_EQ(kept[2], 1) << "as it was";
  EXPECT_FLOAT_EQ(kept[1], .9f * .5f + .1f * 2);
  EXPECT_FLOAT_EQ(kept[3], .9f + .1f * 2);
}

void expect_near(const std::vector<float>& got, const std::vector<float>& expected, double allowed,
                 std::string_view what) {
  ASSERT_EQ(got.size(), expected.size());
  double largest = 1, apart = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << what << ' ' << i;
    largest = std::max(largest, std::fabs(double{expected[i]}));
    apart = std::max(apart, std::fabs(double{got[i]} - expected[i]));
  }
  EXPECT_LE(apart / largest, allowed) << what;
}

TEST(ElementwiseDeviceTest, SumsChannelsOfAnyShape) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  const std::int64_t many =
      kMinChannelChunk * kManyBlocks / 300 + 1;  // pixels of a row: longer chunks
  for (const Shape& shape : {Shape{1, 1, 1, 3}, Shape{2, 13, 13, 5}, Shape{1, 26, 26, 16},
                             Shape{2, 4, 4, 264}, Shape{1, 300, many, 1}, Shape{1, 17, 16, 8}})
    for (const DType type : kTypes) {
      const Normalised got = normalised(kCuda, shape, type), expected = normalised({}, shape, type);
      const std::string what = cat(to_string(shape), ' ', name_of(type));
      const double rounding = type == DType::f32 ? 2e-5 : type == DType::f16 ? 2e-3 : 1.6e-2;
      expect_near(got.out, expected.out, rounding, "output " + what);
      expect_near(got.gradient, expected.gradient, rounding, "gradient " + what);
      for (std::size_t k = 0; k < got.statistics.size(); ++k)
        expect_near(got.statistics[k], expected.statistics[k], 1e-4,
                    cat("statistic ", k, ' ', what));
    }
}

void make_positive(Tensor& t) {  // as Adam's second state is
  std::vector<float> values = t.to_host({.device = t.device()});
  for (float& v : values) v = std::fabs(v);
  t.copy_from({.device = t.device()}, values);
}

// Arrays of several lengths, one of them not yet trained and one for an iteration only.
std::vector<float> updated(const Device& device, const OptimizerRule& rule, StepStatus status) {
  const Stream s{.device = device};
  std::vector<Tensor> rows;
  std::vector<UpdateArrays> updates;
  std::vector<AverageArrays> averages;
  for (const std::int64_t n : {std::int64_t{1}, kArrayRow, kArrayRow + 1, std::int64_t{9999}}) {
    UpdateArrays a{.n = n, .rate_factor = 2, .decay = .01f, .clip = .4f};
    std::uint64_t k = 10 * rows.size();
    const auto array = [&] {
      return rows.emplace_back(random_tensor(device, vector_shape(n), ++k, DType::f32)).data();
    };
    a.value = array(), a.gradient = array();
    for (std::size_t i = 0; i < states_of(rule).size(); ++i) {
      a.states[i] = array();
      make_positive(rows.back());
    }
    if (n == 9999) a.frozen = 3;
    if (n == 1) a.frozen = 2;
    averages.push_back({array(), a.value, n, .9f, a.frozen});
    updates.push_back(a);
  }
  StepState state{{.iteration = 3, .learning_rate = .1f}, status};
  state.loss.scale = 4;
  const Buffer there(device, sizeof state);
  memory(device.type).copy_in(s, there.data(), &state, sizeof state);
  const Buffer shared(device, std::ssize(updates) * kOptimizerStepBytes);
  const auto* const step = static_cast<const StepState*>(there.data());
  update_parameters(s, {s, updates}, {rule, 4, shared.data()}, step);
  update_averages(s, {s, averages}, step);
  std::vector<float> all;
  for (const Tensor& t : rows)
    for (const float v : t.to_host(s)) all.push_back(v);
  return all;
}

TEST(ElementwiseDeviceTest, UpdatesAllArraysInOneLaunch) {
  if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  for (const OptimizerRule& rule : all_of<OptimizerRule>())
    for (const StepStatus status :
         {StepStatus::update, StepStatus::overflow, StepStatus::non_finite})
      expect_near(updated(kCuda, rule, status), updated({}, rule, status), 1e-6, name_of(rule));
}

TEST(ArrayTable, CutsArraysIntoRowsOfBlocks) {
  const std::vector<std::int64_t> sizes{0, 1, kArrayRow, kArrayRow + 1};
  const std::vector<ArrayRow> rows = rows_of(sizes);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].entry, 1);
  EXPECT_EQ(rows[1].entry, 2);
  EXPECT_EQ(rows[2].entry, 3);
  EXPECT_EQ(rows[2].row, 0);
  EXPECT_EQ(rows[3].entry, 3);
  EXPECT_EQ(rows[3].row, 1);
}

// While a parameter is frozen its average is its value, and an update leaves it.
TEST(Update, FrozenArraysStay) {
  std::vector<float> value{1, 2}, gradient{3, 4}, state{5, 6}, average{7, 8};
  UpdateArrays a{.value = value.data(), .gradient = gradient.data(), .n = 2, .frozen = 10};
  a.states[0] = state.data();
  StepState now{{.iteration = 10, .learning_rate = .1f}};
  char shared[kOptimizerStepBytes];
  const ArrayTable<UpdateArrays> table({}, {a});
  const ArrayTable<AverageArrays> averages({}, {{average.data(), value.data(), 2, .5f, 10}});
  update_parameters({}, table, {optimizers::Sgd{}, 1, shared}, &now);
  update_averages({}, averages, &now);
  EXPECT_EQ(value, (std::vector<float>{1, 2}));
  EXPECT_EQ(gradient, (std::vector<float>{3, 4}));
  EXPECT_EQ(average, value);
  now.iteration = 11;
  update_parameters({}, table, {optimizers::Sgd{}, 1, shared}, &now);
  update_averages({}, averages, &now);
  EXPECT_LT(value[0], 1);
  EXPECT_EQ(gradient, (std::vector<float>{0, 0}));
  EXPECT_FLOAT_EQ(average[0], .5f * 1 + .5f * value[0]);
}

}  // namespace
}  // namespace darknet
