#include "tests/layer_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/index.h"
#include "core/rng.h"

namespace darknet::testing_layers {
namespace {

constexpr std::int64_t kIndex = 9;

std::vector<LayerSample>& all_samples() {
  static std::vector<LayerSample> samples;
  return samples;
}

Section section_of(const std::string& text) {
  std::istringstream in(text);
  return parse_cfg(in, "net.cfg").at(0);
}

LayerContext context_of(std::int64_t index, std::int64_t size, Mode mode,
                        const Device& device = kChecked) {
  return {.index = index,
          .net_width = size,
          .net_height = size,
          .burn_in = kBurnIn,
          .max_batches = kMaxBatches,
          .mode = mode,
          .device = device};
}

void fill_random(Tensor& t, std::uint64_t stream, float lo, float hi) {
  std::vector<float> values(to_size(t.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = lo + (hi - lo) * random_uniform(17, stream, i);
  t.copy_from({.device = t.buffer().device()}, values);
}

Host host_of(const Tensor& t) { return {t.shape(), t.to_host({})}; }

void put_truths(Trial& t) {
  const LayerSample& s = t.sample;
  const std::int64_t images = s.in[0].n;
  if (s.truths_per_image == 0) return;
  const std::vector<std::int32_t> counts(to_size(images),
                                         static_cast<std::int32_t>(s.truths_per_image));
  const auto put = [&t](Buffer& to, const auto& values) {
    const std::size_t bytes = values.size() * sizeof values[0];
    to = Buffer(t.stream.device, static_cast<std::int64_t>(bytes));
    memory(t.stream.device.type).copy_in(t.stream, to.data(), values.data(), bytes);
  };
  put(t.truth_boxes, s.truths);
  put(t.truth_counts, counts);
}

}  // namespace

bool add_layer_samples(std::vector<LayerSample> samples) {
  for (LayerSample& s : samples) all_samples().push_back(std::move(s));
  return true;
}

const std::vector<LayerSample>& layer_samples() { return all_samples(); }

LayerPtr layer_of(const std::string& text, std::int64_t index, Mode mode) {
  Section section = section_of(text);
  return make_layer(section, context_of(index, 32, mode));
}

Trial::Trial(const LayerSample& s, Mode m, Order order, DType wanted, Ops& library,
             const Device& device)
    : sample(s),
      mode(m),
      stream{.device = device, .order = order},
      section(section_of("[" + s.type + "]\n" + s.keys)) {
  layer = make_layer(section, context_of(kIndex, s.net_size, mode, device));
  EXPECT_EQ(layer->sources().size(), s.in.size());
  EXPECT_TRUE(!s.takes_logistic || layer->accept_activation(activations::Logistic{}));
  type = layer->works_in_f32() ? DType::f32 : wanted;
  const bool exact = device.type != DeviceType::cpu;  // no TF32
  needs = layer->reshape(s.in, library, {.mode = mode, .exact = exact, .precision = type});
  for (std::size_t i = 0; i < s.in.size(); ++i) {
    in.emplace_back(device, s.in[i], type);
    fill_random(in.back(), 100 + i, -1.5f, 1.5f);
    in_gradient.emplace_back(device, s.in[i], type);
  }
  out = Tensor(device, needs.output, type);
  out_gradient = Tensor(device, needs.output, type);
  loss_weights = Tensor(device, needs.output);
  fill_random(loss_weights, 200, -1, 1);
  saved = Buffer(device, needs.saved);
  workspace = Buffer(device, needs.workspace);
  step = s.step;
  if (device.type != DeviceType::cpu) device_step = Buffer(device, sizeof step);
  const auto features = std::ssize(s.targets) / s.in[0].n;
  if (features > 0) {
    targets = Tensor(device, {s.in[0].n, 1, 1, features});
    targets.copy_from(stream, s.targets);
  }
  put_truths(*this);
  const std::vector<Parameter*> parameters = layer->parameters();
  gradients = allocate_gradients(stream, parameters, MemoryAccess::local);
  layer->initialise(5);
  std::uint64_t k = 300;
  for (Parameter* p : parameters) {
    const bool positive = p->role == Role::scale || p->role == Role::rolling_variance;
    fill_random(p->value, k++, positive ? .5f : -.6f, positive ? 1.5f : .6f);
  }
  layer->parameters_changed(stream, workspace.data());
}

Pass Trial::pass() const {
  Pass p{.stream = stream, .mode = mode, .workspace = workspace.data(), .saved = saved.data()};
  p.step = &step;
  if (device_step.data()) {
    memory(stream.device.type).copy_in(stream, device_step.data(), &step, sizeof step);
    p.step = static_cast<const StepState*>(device_step.data());
  }
  p.seed = 7;
  if (!targets.empty()) p.targets = targets.view();
  if (sample.truths_per_image > 0)
    p.truths = {static_cast<const Truth*>(truth_boxes.data()),
                static_cast<const std::int32_t*>(truth_counts.data()), sample.in[0].n,
                sample.truths_per_image};
  return p;
}

void Trial::forward() {
  std::vector<TensorView> views;
  for (const Tensor& t : in) views.push_back(t.view());
  layer->forward(pass(), views, out.view());
}

void Trial::backward(bool add, float start, bool inputs) {
  std::vector<TensorView> views;
  std::vector<GradientSlot> slots;
  for (std::size_t i = 0; i < in.size(); ++i) {
    views.push_back(needs.needs_input ? in[i].view() : TensorView{});
    const std::vector<float> filled(to_size(in_gradient[i].size()), start);
    in_gradient[i].copy_from(stream, filled);
    slots.push_back(inputs ? GradientSlot{in_gradient[i].view(), add} : GradientSlot{});
  }
  out_gradient.copy_from(stream, loss_weights.to_host(stream));
  layer->backward(pass(), {.in = views,
                           .out = needs.needs_output ? out.view() : TensorView{},
                           .out_gradient = layer->head() ? TensorView{} : out_gradient.view(),
                           .in_gradient = slots});
}

double Trial::objective() const {
  if (sample.objective) return sample.objective(*this);
  double sum = 0;
  for (std::int64_t i = 0; i < out.size(); ++i)
    sum += static_cast<double>(out.data()[i]) * loss_weights.data()[i];
  return sum;
}

std::vector<Host> Trial::host_inputs() const {
  std::vector<Host> all;
  for (const Tensor& t : in) all.push_back(host_of(t));
  return all;
}

std::vector<Host> Trial::host_parameters() const {
  std::vector<Host> all;
  for (const Parameter* p : layer->parameters()) all.push_back(host_of(p->value));
  return all;
}

void Trial::set_parameters(const std::vector<Host>& values) const {
  const auto parameters = layer->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i]->value.copy_from(stream, values[i].v);
  layer->parameters_changed(stream, workspace.data());
}

void Trial::expect_guards() const {
  for (const auto* tensors : {&in, &in_gradient})
    for (const Tensor& t : *tensors) EXPECT_TRUE(t.buffer().guards_intact());
  for (const Tensor* t : {&out, &out_gradient, &loss_weights, &targets})
    EXPECT_TRUE(t->buffer().guards_intact());
  EXPECT_TRUE(saved.guards_intact());
  EXPECT_TRUE(workspace.guards_intact());
  EXPECT_TRUE(gradients.guards_intact());
  for (const Parameter* p : layer->parameters()) {
    EXPECT_TRUE(p->value.buffer().guards_intact());
  }
}

}  // namespace darknet::testing_layers
