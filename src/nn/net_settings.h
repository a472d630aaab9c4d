// The [net] section, parsed completely into a struct.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>
#include "cfg/section.h"
#include "core/tensor.h"
#include "kernels/label_rejection.h"
#include "kernels/optimizers.h"
#include "kernels/pixel_filters.h"

namespace darknet {

// Which optimizer trains, and the keys of all of them.
struct OptimizerKeys {
  OptimizerRule chosen;
  bool adam = false;  // Darknet's key for optimizer=adam
  std::array<OptimizerRule, std::variant_size_v<OptimizerRule>> rules = all_of<OptimizerRule>();

  const OptimizerRule& rule() const {
    return rules[adam ? OptimizerRule(optimizers::Adam{}).index() : chosen.index()];
  }
  template <class V>
  void fields(V&& v) {
    v("optimizer", chosen, TrainingOnly{Choice<OptimizerRule>{}},
      "how gradients change the weights");
    v("adam", adam, TrainingOnly{Flag{}}, "1: the same as optimizer=adam");
    for (OptimizerRule& rule : rules) std::visit([&](auto& r) { r.fields(v); }, rule);
  }
};

// How training images are changed at random, as [net] has it (more keys are the head's:
// AugmentationKeys in detect/head.h).
struct ImageAugmentation {
  float saturation = 1, exposure = 1, hue = 0, angle = 0;
  bool flip = true, mosaic = false, scaled_decode = true;
  std::int64_t mixup = 0, blur = 0;
  float gaussian_noise = 0;
  std::int64_t resize_step = 32;
  std::int64_t shuffle_window = 10'000;

  // Whether half of the images are put together from four, or mixed of two.
  bool mosaics() const { return mosaic || mixup >= 3; }
  bool mixes() const { return mixup == 1 && !mosaic; }
  template <class V>
  void fields(V&& v) {
    v("saturation", saturation, TrainingOnly{Reals{0, 1e3f}}, "largest factor on the saturation");
    v("exposure", exposure, TrainingOnly{Reals{0, 1e3f}}, "largest factor on the brightness");
    v("hue", hue, TrainingOnly{Reals{0, 1}}, "largest turn of the hue");
    v("angle", angle, TrainingOnly{Reals{0, 180}},
      "largest turn of an image either way, degrees; boxes become the bounds of what is seen");
    v("flip", flip, TrainingOnly{Flag{}}, "mirror half of the images");
    v("mosaic", mosaic, TrainingOnly{Flag{}}, "half of the images are put together from four");
    v("mixup", mixup, TrainingOnly{Integers{0, 4}},
      "1: half of the images are the mean of two, with the boxes or targets of both; 3 and 4: "
      "mosaic=1; "
      "of a classifier also 2 and 4: cutmix=1");
    v("blur", blur, TrainingOnly{Integers{0, kMaxBlur}},
      "1: two thirds of the images are blurred but for their objects (of a classifier altogether); "
      "above: one third so and one third altogether, by a kernel of so many pixels");
    v("gaussian_noise", gaussian_noise, TrainingOnly{Reals{0, 127}},
      "half of the images get noise of this standard deviation, of values up to 255");
    v("scaled_decode", scaled_decode, TrainingOnly{Flag{}},
      "decode JPEGs at 1/2, 1/4 or 1/8 where the input needs no more pixels");
    v("resize_step", resize_step, TrainingOnly{Integers{1, 1024}},
      "multi-scale sizes are multiples of it");
    v("shuffle_window", shuffle_window, TrainingOnly{Integers{1, 1 << 30}},
      "of images in tar shards: how many are mixed with each other, as in a shuffle buffer that "
      "the shards pass through one after the other");
  }
};

// How the learning rate changes after burn_in (nn/schedule.h).
enum class Policy : std::uint8_t { constant, step, steps, poly, exp, sigmoid, random, sgdr };
constexpr auto choices(Policy) {
  return std::to_array<Named<Policy>>({{"constant", Policy::constant},
                                       {"step", Policy::step},
                                       {"steps", Policy::steps},
                                       {"poly", Policy::poly},
                                       {"exp", Policy::exp},
                                       {"sigmoid", Policy::sigmoid},
                                       {"random", Policy::random},
                                       {"sgdr", Policy::sgdr}});
}

// The keys that layers follow from. The network makes and plans its layers from these alone, so
// that an error of a layer can come from no other key of [net].
struct LayerKeys {
  std::int64_t batch = 1, subdivisions = 1, width = 416, height = 416, channels = 3;
  std::int64_t burn_in = 0;      // obj_gamma_ramp of the heads rises over it too
  std::int64_t max_batches = 0;  // dropblock of [dropout] grows over most of it
  DType precision = DType::f32;
  RejectionKeys rejection;

  template <class V>
  void fields(V&& v) {
    v("batch", batch, TrainingOnly{Integers{1, 1 << 20}}, "images per iteration");
    v("subdivisions", subdivisions, TrainingOnly{Integers{1, 1 << 20}},
      "micro-batches in which a batch is computed; divides batch");
    v("width", width, Integers{1, 1 << 15}, "input width in pixels");
    v("height", height, Integers{1, 1 << 15}, "input height in pixels");
    v("channels", channels, Integers{1, kMaxChannels},
      "input channels: 3 colour, 1 grey; others as the images have them (.npy, TIFF)");
    v("precision", precision, Choice<DType>{},
      "element type of activations and their gradients; weights and heads stay f32");
    v("burn_in", burn_in, TrainingOnly{Integers{0, std::int64_t{1} << 40}},
      "iterations over which the rate rises as (it/burn_in)^power");
    v("max_batches", max_batches, TrainingOnly{Integers{0, std::int64_t{1} << 40}},
      "iterations of a training run");
    rejection.fields(v);
  }
};

struct NetSettings : LayerKeys {
  // Optimizer and schedule.
  float learning_rate = .001f, learning_rate_min = 1e-5f, decay = .0001f;
  Policy policy = Policy::constant;
  std::int64_t step = 1, sgdr_cycle = 0, sgdr_mult = 2;
  float power = 4, scale = 1, gamma = 1;
  std::vector<std::int64_t> steps;
  std::vector<float> scales;
  OptimizerKeys optimizer;
  float ema_alpha = 0;
  ImageAugmentation augmentation;
  bool letter_box = false, try_fix_nan = false;
  float input_max = 0;

  template <class V>
  void fields(V&& v) {
    LayerKeys::fields(v);
    v("learning_rate", learning_rate, TrainingOnly{Reals{0, 1e30f}},
      "step size before policy and burn_in");
    v("learning_rate_min", learning_rate_min, TrainingOnly{Reals{0, 1e30f}},
      "lower end of policy=sgdr");
    v("decay", decay, TrainingOnly{Reals{0, 1e6f}}, "L2 penalty on weights");
    v("policy", policy, TrainingOnly{Choice<Policy>{}}, "how the learning rate changes");
    v("power", power, TrainingOnly{Reals{0, 1e3f}}, "exponent of burn_in and of policy=poly");
    v("step", step, TrainingOnly{Integers{1, std::int64_t{1} << 40}},
      "period of policy=step; centre of policy=sigmoid");
    v("scale", scale, TrainingOnly{Reals{0, 1e6f}}, "factor of policy=step");
    v("steps", steps, TrainingOnly{ListOf<std::int64_t>{}}, "iterations of policy=steps");
    v("scales", scales, TrainingOnly{ListOf<float>{{0, 1e6f}}}, "factors of policy=steps");
    v("gamma", gamma, TrainingOnly{Reals{0, 1e6f}}, "base of policy=exp; slope of policy=sigmoid");
    v("sgdr_cycle", sgdr_cycle, TrainingOnly{Integers{0, std::int64_t{1} << 40}},
      "first period of policy=sgdr; 0: max_batches");
    v("sgdr_mult", sgdr_mult, TrainingOnly{Integers{1, 1000}},
      "growth of the period of policy=sgdr");
    optimizer.fields(v);
    v("ema_alpha", ema_alpha, TrainingOnly{Reals{0, .999999f}},
      "decay of the averaged weights; 0: none");
    augmentation.fields(v);
    v("letter_box", letter_box, Flag{}, "keep the aspect ratio, grey bars around");
    v("try_fix_nan", try_fix_nan, TrainingOnly{Flag{}},
      "1: gradients that are not finite become 0, instead of ending the training");
    v("input_max", input_max, Reals{0, 1e30f},
      "the value of images that becomes 1; 0: the largest of their type (255, 65535, 1 of floats)");
  }
};

// Of a forward pass in training shared by `replicas` networks; throws, naming a key of `net`,
// where the batch cannot be shared so.
std::int64_t images_of_part(const LayerKeys&, std::int64_t replicas, const Section& net);

// Reads the first section, which must be [net] or [network]. Throws; also, where it is read in
// order to train, on batch % subdivisions and on policies that lack what they need.
NetSettings read_net(Section&);

}  // namespace darknet
