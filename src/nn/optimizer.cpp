#include "nn/optimizer.h"

#include <algorithm>
#include <utility>

#include "core/device_guard.h"
#include "core/index.h"

namespace darknet {

Optimizer::Slot Optimizer::make_slot(Parameter& p, std::int64_t layer) const {
  const Device& device = net_.options().device;
  const Shape shape = vector_shape(p.value.size());
  Slot slot{.parameter = &p, .layer = layer};
  if (p.trained() && p.update)
    for (std::size_t k = 0; k < states_of(settings_.optimizer.rule()).size(); ++k)
      slot.states.emplace_back(device, shape);
  if (settings_.ema_alpha > 0) slot.average = Tensor(device, shape);
  return slot;
}

UpdateArrays Optimizer::update_of(Slot& slot) const {
  const Parameter& p = *slot.parameter;
  UpdateArrays arrays{.value = p.value.data(),
                      .gradient = static_cast<float*>(p.gradient.data),
                      .n = p.value.size(),
                      .rate_factor = p.learning_rate,
                      .decay = p.decays() ? settings_.decay : 0,
                      .clip = p.role == Role::weights ? net_.layer(slot.layer).keys().clip : 0,
                      .frozen = p.frozen_iterations};
  for (std::size_t k = 0; k < slot.states.size(); ++k) arrays.states[k] = slot.states[k].data();
  return arrays;
}

Optimizer::Optimizer(Network& net, const NetSettings& settings) : net_(net), settings_(settings) {
  const Device& device = net.options().device;
  const DeviceGuard guard(device);
  for (std::int64_t i = 0; i < net.size(); ++i)
    for (Parameter* p : net.layer(i).parameters()) slots_.push_back(make_slot(*p, i));
  std::vector<UpdateArrays> updates;
  std::vector<AverageArrays> averages;
  std::vector<CentreArrays> centred;
  for (Slot& s : slots_) {
    const Parameter& p = *s.parameter;
    if (p.gradient) updates.push_back(update_of(s));
    if (p.gradient && p.centred_gradient)
      centred.push_back({static_cast<float*>(p.gradient.data), p.value.shape().n,
                         p.value.size() / p.value.shape().n});
    if (!s.average.empty())
      averages.push_back({s.average.data(), p.value.data(), p.value.size(), settings.ema_alpha,
                          p.frozen_iterations});
  }
  updates_ = {net.stream(), std::move(updates)};
  averages_ = {net.stream(), std::move(averages)};
  centred_ = {net.stream(), std::move(centred)};
  scratch_ = Buffer(device, check_finite_scratch(net.gradients().shape.size()));
  shared_ = Buffer(device, std::max<std::int64_t>(1, updates_.size()) * kOptimizerStepBytes);
}

void Optimizer::step(StepState* state, std::int64_t images, bool average) {
  const Stream& stream = net_.stream();
  const DeviceGuard guard(stream.device);
  const TensorView gradients = net_.gradients();
  const View<float> gradient = gradients.as<>();
  if (settings_.try_fix_nan)
    zero_not_finite(stream, gradient.data, gradient.shape.size(), state, scratch_.data());
  else
    check_finite(stream, gradient.data, gradient.shape.size(), state, scratch_.data());
  if (centred_.size() > 0) centre_gradients(stream, centred_);
  update_parameters(stream, updates_,
                    {settings_.optimizer.rule(), static_cast<float>(images), shared_.data()},
                    state);
  if (average && settings_.ema_alpha > 0) {
    if (!averaging_) start_average();
    update_averages(stream, averages_, state);
  }
  if (scales_loss()) adapt_loss_scale(stream, state);
}

void Optimizer::start_average() {
  Memory& device = memory(net_.options().device.type);
  for (const Slot& s : slots_)
    device.copy(net_.stream(), s.average.data(), s.parameter->value.data(),
                to_size(s.average.bytes()));
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
