// What every layer is put through, and the samples it is done with. A type in layers.def without a
// sample fails the test. Detection heads add theirs (with an objective of their own) from another
// file: const bool added = add_layer_samples({...});
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cfg/parse.h"
#include "core/index.h"
#include "nn/layer.h"

namespace darknet::testing_layers {

// A tensor in host memory.
struct Host {
  Shape shape;
  std::vector<float> v;
  double at(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
    return v[to_size(((n * shape.h + y) * shape.w + x) * shape.c + c)];
  }
};

struct Trial;

struct LayerSample {
  std::string type, keys;  // the section and its lines
  std::vector<Shape> in;   // of its sources
  // The expected output when training, from the inputs and the parameters; null: none.
  std::function<std::vector<double>(const std::vector<Host>& in,
                                    const std::vector<Host>& parameters, const Shape& out)>
      reference = nullptr;
  // What backward() differentiates; null: the sum of outputs times random weights. A layer with an
  // objective of its own gets no gradient from above.
  std::function<double(const Trial&)> objective = nullptr;
  std::vector<float> targets = {};  // {n, 1, 1, features}
  std::vector<Truth> truths = {};   // `truths_per_image` for each image
  std::int64_t truths_per_image = 0;
  bool gradient = true;        // compared with central differences
  bool random = false;         // differs at inference (dropout)
  double tolerance = 2e-3;     // of gradients, relative to max(1, |gradient|)
  std::int64_t net_size = 32;  // width and height of the network's input
  StepState step{{.iteration = 3}};
  bool takes_logistic = false;  // the layer below hands its logistic over; `in` holds logits
};

inline std::ostream& operator<<(std::ostream& to, const LayerSample& s) {  // GoogleTest's messages
  return to << '[' << s.type << "] " << s.keys;
}

inline std::string name_of_sample(const testing::TestParamInfo<LayerSample>& info) {
  return info.param.type + "_" + std::to_string(info.index);
}

bool add_layer_samples(std::vector<LayerSample>);  // always true
const std::vector<LayerSample>& layer_samples();

inline constexpr std::int64_t kBurnIn = 10, kMaxBatches = 1000;  // of the network

inline constexpr Device kChecked{.checked = true};

// A layer with everything a network would give it, by default on checked buffers of the CPU.
struct Trial {
  // wanted: type of activations, where the layer does not work in f32 whatever it is asked.
  Trial(const LayerSample&, Mode, Order order = Order::parallel, DType wanted = DType::f32,
        Ops& library = ops(DeviceType::cpu), const Device& device = kChecked);

  void forward();
  // Runs backward on a fresh gradient from above; in_gradient starts as `start`.
  void backward(bool add, float start, bool inputs = true);
  double objective() const;  // after forward(), on the CPU
  std::vector<Host> host_inputs() const;
  std::vector<Host> host_parameters() const;
  void set_parameters(const std::vector<Host>&) const;
  void expect_guards() const;
  bool own_objective() const { return static_cast<bool>(sample.objective); }
  Pass pass() const;

  LayerSample sample;
  Mode mode;
  Stream stream;
  Section section;
  LayerPtr layer;
  DType type;
  Requirements needs;
  std::vector<Tensor> in, in_gradient;
  Tensor out, out_gradient, loss_weights, targets;
  Buffer gradients;  // of the parameters
  Buffer saved, workspace, truth_boxes, truth_counts;
  StepState step;
  Buffer device_step;  // a copy of `step` for a device that cannot read the host's memory
};

// The layer of a section's text, e.g. "[route]\nlayers=-1\n"; `index` is its place in the network.
LayerPtr layer_of(const std::string& text, std::int64_t index, Mode mode = Mode::training);

}  // namespace darknet::testing_layers
