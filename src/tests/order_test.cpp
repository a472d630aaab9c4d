// Every launch of kernels/ in scattered order. Those of layers/ are put through the same check by
// layer_test and precision_test; that it finds what is wrong is in order_check_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "core/copy.h"
#include "core/index.h"
#include "core/rng.h"
#include "detect/head.h"
#include "kernels/activate.h"
#include "kernels/all_reduce.h"
#include "kernels/batch_norm.h"
#include "kernels/class_gradients.h"
#include "kernels/direct_conv.h"
#include "kernels/objectness.h"
#include "kernels/pixel_filters.h"
#include "kernels/pool.h"
#include "kernels/stem_conv.h"
#include "kernels/update.h"
#include "kernels/warp.h"
#include "tests/layer_harness.h"
#include "tests/order_check.h"
#include "tests/order_checks.h"
#include "tests/paths.h"

namespace darknet {
namespace {

using testing_order::append;
using testing_order::Bytes;
using testing_order::bytes_of;
using testing_order::check_label_rejection;
using testing_order::check_update;
using testing_order::kParameters;
using testing_order::kShape;
using testing_order::random_tensor;
using testing_order::same_in_any_order;

template <class F>
void for_each_type(F f) {
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) f(type);
}

template <class F>
void for_each_activation(F f) {
  for (const Activation& a : all_of<Activation>()) for_each_type([&](DType type) { f(a, type); });
}

void check_activate() {
  for_each_activation([](const Activation& a, DType type) {
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      const Tensor in = random_tensor(kShape, 1, type), bias = random_tensor(vector_shape(7), 2);
      const Tensor plain({}, kShape, type), shifted({}, kShape, type);
      activate(s, a, in.view(), nullptr, plain.view());
      activate(s, a, in.view(), bias.data(), shifted.view());
      const Tensor gradient = random_tensor(kShape, 3, type), sums = random_tensor(bias.shape(), 4);
      activation_backward(s, a, in.view(), gradient.view());
      const Tensor other = random_tensor(kShape, 5, type);
      const Buffer scratch({}, activation_bias_scratch(kShape));
      activation_bias_backward(s, a, in.view(), other.view(), sums.data(), scratch.data());
      return bytes_of({&plain, &shifted, &gradient, &other, &sums});
    })) << name_of(a)
        << ' ' << name_of(type);
  });
}

// A batch normalisation's arrays, one row each.
struct Normalisation {
  explicit Normalisation(const Activation& a)
      : norm{.activation = a,
             .scale = row(0),
             .bias = row(1),
             .rolling_mean = row(2),
             .rolling_variance = row(3),
             .mean = row(4),
             .inverse_deviation = row(5)} {
    for (std::int64_t c = 0; c < kShape.c; ++c) row(3)[c] += 1;
  }
  float* row(std::int64_t i) const { return arrays.data() + i * kShape.c; }
  Tensor arrays = random_tensor({8, 1, 1, kShape.c}, 1);
  BatchNorm norm;
};

void check_batch_norm() {
  for_each_activation([](const Activation& a, DType type) {
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      const Normalisation n(a);
      const Buffer scratch({}, batch_norm_scratch(kShape));
      const Tensor z = random_tensor(kShape, 2, type), rolled({}, kShape, type);
      const Tensor out({}, kShape, type), gradient = random_tensor(kShape, 3, type);
      batch_norm_inference(s, n.norm, z.view(), rolled.view());
      batch_norm_forward(s, n.norm, z.view(), out.view(), scratch.data());
      const BatchNormGradient to{gradient.view(), n.row(6), n.row(7)};
      batch_norm_backward(s, n.norm, z.view(), to, scratch.data());
      const Tensor weights = random_tensor({1, 1, kShape.c, 2000}, 4);
      const Tensor folded({}, weights.shape()), bias({}, vector_shape(kShape.c));
      fold_batch_norm(s, n.norm, {weights.data(), folded.data(), bias.data(), kShape.c, 2000});
      return bytes_of({&rolled, &out, &gradient, &folded, &bias, &n.arrays});
    })) << name_of(a)
        << ' ' << name_of(type);
  });
}

void check_copy() {
  for_each_type([](DType from_type) {
    for_each_type([&](DType to_type) {
      EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
        const Tensor from = random_tensor(kShape, 1, from_type);
        const Tensor copied({}, kShape, to_type), added = random_tensor(kShape, 2, to_type);
        const Tensor put = random_tensor(kShape, 3, to_type);
        copy_pixels(s, from.view(), copied.view());
        put_pixels(s, from.view(), added.view(), true);
        put_pixels(s, from.view(), put.view(), false);
        return bytes_of({&copied, &added, &put});
      })) << name_of(from_type)
          << " to " << name_of(to_type);
    });
  });
}

void check_pool(PoolKind kind, DType type) {
  const PoolSpec spec{.in = kShape, .kind = kind, .size = 3, .stride_y = 2, .padding = 2};
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const auto plan = make_launched_pool(spec, {.mode = Mode::training, .precision = type});
    const Tensor in = random_tensor(spec.in, 1, type), out({}, spec.out(), type);
    const Tensor gradient = random_tensor(spec.out(), 2, type);
    const Tensor fresh = random_tensor(spec.in, 3, type), added = random_tensor(spec.in, 4, type);
    const Buffer saved({}, plan->saved()), workspace({}, plan->workspace());
    plan->forward(s, in.view(), out.view(), saved.data(), workspace.data());
    plan->backward(s, gradient.view(), fresh.view(), false, saved.data(), workspace.data());
    plan->backward(s, gradient.view(), added.view(), true, saved.data(), workspace.data());
    return bytes_of({&out, &fresh, &added});
  })) << (kind == PoolKind::max ? "max " : "average ")
      << name_of(type);
}

void check_pools() {
  for (const PoolKind kind : {PoolKind::max, PoolKind::average})
    for_each_type([&](DType type) { check_pool(kind, type); });
}

void check_direct_conv() {
  const ConvSpec spec{
      .in = kShape, .filters = 4, .size_y = 3, .size_x = 2, .stride_y = 2, .pad_y = 1};
  const auto plan = make_launched_conv(spec);
  const Tensor weights = random_tensor(vector_shape(spec.weights()), 1);
  plan->set_weights({}, weights.data(), nullptr);
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const Tensor in = random_tensor(spec.in, 2), out({}, spec.out());
    const Tensor gradient = random_tensor(spec.out(), 3), to = random_tensor(spec.in, 4);
    const Tensor sums = random_tensor(vector_shape(spec.weights()), 5);
    plan->forward(s, in.view(), nullptr, out.view(), nullptr);
    plan->backward_data(s, gradient.view(), to.view(), true, nullptr);
    plan->backward_weights(s, in.view(), gradient.view(), sums.data(), nullptr);
    return bytes_of({&out, &to, &sums});
  }));
}

void check_stem_conv() {
  const ConvSpec spec{
      .in = {2, 33, 140, 3}, .filters = 8, .size_y = 3, .size_x = 3, .pad_y = 1, .pad_x = 1};
  const PlanOptions training{.mode = Mode::training, .input_gradient = false};
  const auto plan = make_stem_conv(spec, {}, training, {});
  const Tensor weights = random_tensor(vector_shape(spec.weights()), 1);
  const Buffer workspace({}, plan->workspace());
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const Tensor in = random_tensor(spec.in, 2), out({}, spec.out());
    const Tensor gradient = random_tensor(spec.out(), 3);
    const Tensor sums = random_tensor(vector_shape(spec.weights()), 5);
    plan->set_weights(s, weights.data(), workspace.data());
    plan->forward(s, in.view(), nullptr, out.view(), workspace.data());
    plan->backward_weights(s, in.view(), gradient.view(), sums.data(), workspace.data());
    return bytes_of({&out, &sums});
  }));
}

// What several devices bring to their sum and take from it.
void check_all_reduce() {
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const Tensor rows = random_tensor({4, 1, 1, kParameters}, 1);
    float* const row = rows.data();
    const std::int64_t n = kParameters;
    StepState state{{}, StepStatus::non_finite}, other{{.iteration = 1}};
    const RollingTable rolling(s, {{row, row + n, row + 2 * n, n}});
    keep_rolling(s, rolling);
    share_rolling(s, rolling, .5f, .25f);
    add_array(s, row + 3 * n, row + 2 * n, n);
    take_rolling(s, rolling, .125f, &other);
    share_error(s, &state, row + 3 * n);
    take_error(s, row + 3 * n, &other);
    EXPECT_EQ(other.status, StepStatus::non_finite);
    std::vector<std::int64_t> integers(to_size(n / kFloatsPerInteger));
    for (std::size_t i = 0; i < integers.size(); ++i)
      integers[i] = static_cast<std::int64_t>(random_bits(1, 2, i) >> 2);
    std::vector<std::int64_t> sums(integers.size());
    share_integers(s, integers.data(), row, std::ssize(integers));
    std::copy_n(row, n, row + n);
    add_array(s, row, row + n, n);
    take_integers(s, row + n, sums.data(), std::ssize(sums));
    for (std::size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], 2 * integers[i]);
    return bytes_of({&rows});
  }));
}

// Every sample of every detection head, and its telemetry.
void check_heads() {
  std::map<std::string, int> checked;
  for (const testing_layers::LayerSample& sample : testing_layers::layer_samples()) {
    if (sample.truths.empty()) continue;
    ++checked[sample.type];
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      testing_layers::Trial t(sample, Mode::training, s.order);
      t.stream.threads = s.threads;
      t.forward();
      t.backward(false, NAN);
      Bytes all = bytes_of({&t.out, t.in_gradient.data()});
      const HeadTelemetry told = t.layer->head()->telemetry(t.stream);
      EXPECT_GT(told.loss(), 0);
      append(all, std::vector<double>{told.loss(), told.positives});
      return all;
    })) << sample.type
        << ' ' << sample.keys;
  }
  EXPECT_GE(checked.size(), 2u);
  for (const auto& [type, samples] : checked) EXPECT_GT(samples, 3) << type;
}

// Enough anchors for several chunks of the telemetry's sums.
void check_objectness() {
  constexpr AnchorLayout kLayout{.anchors = 3, .entries = 6};
  const Shape shape{2, 31, 37, kLayout.anchors * kLayout.entries};
  const std::int64_t anchors = shape.pixels() * kLayout.anchors;
  std::vector<LogitLoss> all_losses{losses::Ghm{{}, 30, .75f}};
  for (const LogitLoss& loss : all_of<LogitLoss>()) all_losses.push_back(loss);
  for (const LogitLoss& loss : all_losses)
    for (const float guided : {0.f, 2.f})
      EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
        const Tensor logits = random_tensor(shape, 1), gradient({}, shape);
        std::vector<AnchorRecord> records(to_size(anchors));
        for (std::size_t i = 0; i < records.size(); ++i)
          records[i] = {.state = static_cast<AnchorState>(i % 3),
                        .truths = static_cast<std::int32_t>(i % 4),
                        .target = i % 3 == 1 ? 1.f : 0.f,
                        .weight = random_uniform(5, 1, i),
                        .class_loss = random_uniform(5, 2, i),
                        .box_loss = random_uniform(5, 3, i)};
        StepState step{{.objectness_scale = 1.5f}};
        std::vector<double> running(to_size(kRunningCounts), 50);
        std::vector<std::int64_t> counts(to_size(kCountSums));
        const ObjectnessArguments a{.logits = logits.view().as<>(),
                                    .gradient = gradient.view().as<>(),
                                    .records = records.data(),
                                    .layout = kLayout,
                                    .step = &step,
                                    .scale = true,
                                    .guided = guided,
                                    .running = {running.data(), counts.data()}};
        HeadTelemetry sums, total;
        const Buffer scratch({}, std::max(telemetry_scratch(anchors), objectness_scratch(anchors)));
        apply_objectness(s, loss, a, scratch.data());
        keep_counts(s, loss, a.running, &step);
        sum_telemetry(s, a, &sums, scratch.data());
        EXPECT_GT(sums.objectness_loss_negative, 0);
        add_telemetry(s, {&sums, &total, 0, true}, &step);
        add_telemetry(s, {&sums, &total, 1, false}, &step);
        EXPECT_EQ(total.objectness_loss_negative, 2 * sums.objectness_loss_negative);
        const Tensor out = random_tensor(shape, 2);
        calibrate_objectness(s, loss, {logits.view().as<>(), out.view().as<>(), kLayout, {}});
        Bytes all = bytes_of({&gradient, &out});
        append(all, records);
        append(all, std::span(&total, 1));
        append(all, running);
        return all;
      })) << name_of(loss);
}

// Of more anchors than chunks of them.
void check_class_gradients() {
  constexpr AnchorLayout kLayout{.anchors = 3, .entries = 12};
  const Shape shape{2, 31, 37, kLayout.anchors * kLayout.entries};
  EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
    const Tensor gradient = random_tensor(shape, 1);
    std::vector<AnchorRecord> records(to_size(shape.pixels() * kLayout.anchors));
    for (std::size_t i = 0; i < records.size(); ++i) records[i].class_loss = i % 5 == 0 ? 1.f : 0.f;
    std::vector<std::int64_t> sums(to_size(2 * kLayout.classes()), 7);
    std::vector<double> values(sums.size(), .5);
    const Buffer scratch({}, class_gradient_scratch(std::ssize(records), kLayout.classes()));
    add_class_gradients(s, {gradient.view().as<>(), records.data(), kLayout, sums.data()},
                        scratch.data());
    const StepState state;
    keep_class_gradients(s, {values.data(), sums.data()}, std::ssize(sums), &state);
    EXPECT_GT(values[0], 1);
    Bytes all;
    append(all, sums);
    append(all, values);
    return all;
  }));
}

void check_warp() {
  for (const auto& [channels, shear] : {std::pair{1, 0.f}, {3, 0.f}, {1, .2f}, {3, .2f}}) {
    std::vector<std::uint8_t> pixels(std::size_t{2000} * static_cast<std::size_t>(channels));
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = static_cast<std::uint8_t>(random_bits(1, 2, i));
    EXPECT_TRUE(same_in_any_order([&, channels = channels, shear = shear](const Stream& s) {
      const Tensor out = random_tensor({1, 99, 101, channels}, 3);
      WarpArguments a{.pixels = pixels.data(), .width = 50, .height = 40};
      a.out = out.view().as<>();
      a.placement = {.region = {3, 2, 98, 99},
                     .scale_x = -.5f,
                     .shift_x = 47,
                     .scale_y = .4f,
                     .shift_y = -3,
                     .shear_x = shear,
                     .shear_y = -shear,
                     .hue = .1f,
                     .saturation = 1.3f,
                     .exposure = .8f};
      warp(s, a);
      return bytes_of({&out});
    })) << channels;
  }
}

void check_pixel_filters() {
  for (const std::int64_t channels : {1, 3})
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      const Tensor image = random_tensor({1, 70, 80, channels}, 3);
      const Tensor other = random_tensor({1, 70, 80, channels}, 4);
      const View<float> to = image.view().as<>();
      const Rect part{3, 2, 78, 69};
      std::vector<float> scratch(to_size(image.size()));
      average_with(s, to, other.view().as<>());
      gaussian_blur(s, to, part, 9, scratch.data());
      add_noise(s, to, part, .1f, 7);
      return bytes_of({&image});
    })) << channels;
}

void check_warp_values() {
  for (const std::int32_t depth : {1, 2}) {
    std::vector<std::uint16_t> values(to_size(50 * 40 * 5));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<std::uint16_t>(random_bits(1, 2, i));
    EXPECT_TRUE(same_in_any_order([&](const Stream& s) {
      const Tensor out = random_tensor({1, 99, 101, 5}, 3);
      WarpArguments a{.pixels = reinterpret_cast<const std::uint8_t*>(values.data()),
                      .width = 50,
                      .height = 40,
                      .depth = depth,
                      .value_of_one = 4095};
      a.out = out.view().as<>();
      a.placement = {
          .region = {3, 2, 98, 99}, .scale_x = -.5f, .shift_x = 47, .scale_y = .4f, .shift_y = -3};
      warp(s, a);
      return bytes_of({&out});
    })) << depth;
  }
}

const std::map<std::string, void (*)()> kChecks = {
    {"kernels/activate.cpp", check_activate},
    {"kernels/batch_norm.cpp", check_batch_norm},
    {"kernels/class_gradients.cpp", check_class_gradients},
    {"kernels/label_rejection.cpp", check_label_rejection},
    {"core/copy.cpp", check_copy},
    {"kernels/direct_conv.cpp", check_direct_conv},
    {"kernels/all_reduce.cpp", check_all_reduce},
    {"kernels/objectness.cpp", check_objectness},
    {"kernels/pixel_filters.cpp", check_pixel_filters},
    {"kernels/pool.cpp", check_pools},
    {"kernels/stem_conv.cpp", check_stem_conv},
    {"kernels/update.cpp", check_update},
    {"kernels/warp.cpp", check_warp},
    {"kernels/warp_values.cpp", check_warp_values},
};

TEST(LaunchOrder, EveryKernelGivesTheSameBytesInAnyOrder) {
  for (const auto& [file, check] : kChecks) {
    SCOPED_TRACE(file);
    check();
  }
}

TEST(LaunchOrder, EveryHeadGivesTheSameBytesInAnyOrder) { check_heads(); }

std::set<std::string> files_that_launch() {
  const std::regex launch(
      R"(\b(for_each|for_each_pixel|for_each_vec|for_each_array|map_pixels|reduce|reduce_channels)(<[^()]*>)?\()");
  const std::set<std::string> defining{"core/for_each.h", "core/elementwise.h",
                                       "core/array_table.h"};
  std::set<std::string> found;
  const auto source = test::source_dir() / "src";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    const auto relative = entry.path().lexically_relative(source);
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
    const std::string folder = relative.begin()->string();
    if (folder == "tests" || defining.contains(relative.string())) continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!std::regex_search(text, launch)) continue;
    // layer_test walks every type of layers.def.
    if (folder != "layers") found.insert(relative.string());
  }
  return found;
}

TEST(LaunchOrder, EveryFileThatLaunchesIsChecked) {
  std::set<std::string> checked;
  for (const auto& entry : kChecks) checked.insert(entry.first);
  EXPECT_EQ(files_that_launch(), checked);
}

}  // namespace
}  // namespace darknet
