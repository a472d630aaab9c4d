#include "nn/optimizer.h"

#include <algorithm>
#include <utility>

#include "core/device_guard.h"
#include "core/index.h"
#include "nn/freezing.h"

namespace darknet {

namespace {

std::vector<std::int64_t> frozen_iterations(const Network& net) {
  std::vector<std::vector<std::int64_t>> sources;
  for (std::int64_t i = 0; i < net.size(); ++i) sources.push_back(net.layer(i).sources());
  std::vector<FreezableLayer> layers;
  for (std::int64_t i = 0; i < net.size(); ++i)
    layers.push_back({&net.layer(i).keys(), sources[to_size(i)]});
  for (const HeadAt& h : net.heads()) layers[to_size(h.layer)].head = true;
  return darknet::frozen_iterations(layers);
}

}  // namespace

Optimizer::Optimizer(Network& net, const NetSettings& settings) : net_(net), settings_(settings) {
  const Device& device = net.options().device;
  std::int64_t max = 1;
  const std::vector<std::int64_t> frozen = frozen_iterations(net);
  for (std::int64_t i = 0; i < net.size(); ++i) {
    for (Parameter* p : net.layer(i).parameters()) {
      Slot slot{.parameter = p,
                .layer = i,
                .frozen = frozen[to_size(i)],
                .trained = p->trained() && p->update};
      if (p->role == Role::weights) slot.clip = net.layer(i).keys().clip;
      const Shape shape = vector_shape(p->value.size());
      if (slot.trained) {
        for (std::size_t k = 0; k < states_of(settings.optimizer.rule()).size(); ++k)
          slot.states.emplace_back(device, shape);
        max = std::max(max, shape.c);
      }
      if (settings.ema_alpha > 0) slot.average = Tensor(device, shape);
      slots_.push_back(std::move(slot));
    }
  }
  scratch_ = Buffer(device, check_finite_scratch(max));
  shared_ = Buffer(device, kOptimizerStepBytes);
}

void Optimizer::update(Slot& slot, const OptimizerStep& step, const StepState* state) {
  Parameter& p = *slot.parameter;
  UpdateArrays arrays{.value = p.value.data(),
                      .gradient = p.gradient.data(),
                      .n = p.value.size(),
                      .rate_factor = p.learning_rate,
                      .decay = p.decays() ? settings_.decay : 0,
                      .clip = slot.clip};
  for (std::size_t k = 0; k < slot.states.size(); ++k) arrays.states[k] = slot.states[k].data();
  parameter_update(net_.stream(), arrays, step, state);
}

void Optimizer::step(StepState* state, std::int64_t images, bool average) {
  const Stream& stream = net_.stream();
  const DeviceGuard guard(stream.device);
  for (Slot& s : slots_)
    if (s.parameter->updated())
      check_finite(stream, s.parameter->gradient.data(), s.parameter->gradient.size(), state,
                   scratch_.data());
  OptimizerStep step{settings_.optimizer.rule(), static_cast<float>(images), shared_.data()};
  std::int64_t begun = -1;
  for (Slot& s : slots_) {
    if (!s.parameter->updated()) continue;
    step.frozen = s.frozen;
    if (s.frozen != std::exchange(begun, s.frozen)) begin_update(stream, step, state);
    update(s, step, state);
  }
  if (average && settings_.ema_alpha > 0) {
    if (!averaging_) start_average();
    for (Slot& s : slots_)
      if (s.parameter->moves())
        average_update(
            stream,
            {s.average.data(), s.parameter->value.data(), s.average.size(), settings_.ema_alpha},
            state);
      else
        copy_into_average(s);  // a resumed run may have frozen it: the average would lag for good
  }
  if (scales_loss()) adapt_loss_scale(stream, state);
}

std::vector<Tensor*> Optimizer::gradients() {
  std::vector<Tensor*> all;
  for (Slot& s : slots_)
    if (s.trained) all.push_back(&s.parameter->gradient);
  return all;
}

void Optimizer::copy_into_average(Slot& s) {
  memory(s.average.device().type)
      .copy(net_.stream(), s.average.data(), s.parameter->value.data(), to_size(s.average.bytes()));
}

void Optimizer::start_average() {
  for (Slot& s : slots_) copy_into_average(s);
  averaging_ = true;
}

void Optimizer::swap_average() {
  if (!averaging_) return;
  for (Slot& s : slots_) {
    const std::vector<float> value = s.parameter->value.to_host(net_.stream());
    const std::vector<float> average = s.average.to_host(net_.stream());
    s.parameter->value.copy_from(net_.stream(), average);
    s.average.copy_from(net_.stream(), value);
  }
  net_.parameters_changed();
}

std::vector<Optimizer::Array> Optimizer::state() {
  const std::vector<std::string_view> names = states_of(settings_.optimizer.rule());
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const std::string parameter = cat("parameter ", i, " of layer ", slot.layer, ' ');
    for (std::size_t k = 0; k < slot.states.size(); ++k)
      arrays.push_back({cat(parameter, names[k]), &slot.states[k]});
    if (!slot.average.empty()) arrays.push_back({parameter + "average", &slot.average});
  }
  return arrays;
}

}  // namespace darknet
