#include "nn/optimizer.h"

#include <algorithm>
#include <utility>

#include "kernels/update.h"
#include "nn/freezing.h"

namespace darknet {

namespace {

std::vector<std::int64_t> frozen_iterations(const Network& net) {
  std::vector<std::vector<std::int64_t>> sources;
  for (std::int64_t i = 0; i < net.size(); ++i) sources.push_back(net.layer(i).sources());
  std::vector<FreezableLayer> layers;
  for (std::int64_t i = 0; i < net.size(); ++i)
    layers.push_back({&net.layer(i).keys(), sources[static_cast<std::size_t>(i)]});
  for (const HeadAt& h : net.heads()) layers[static_cast<std::size_t>(h.layer)].head = true;
  return darknet::frozen_iterations(layers);
}

}  // namespace

Optimizer::Optimizer(Network& net, const NetSettings& settings) : net_(net), settings_(settings) {
  const Device& device = net.options().device;
  std::int64_t most = 1;
  const std::vector<std::int64_t> frozen = frozen_iterations(net);
  for (std::int64_t i = 0; i < net.size(); ++i) {
    for (Parameter* p : net.layer(i).parameters()) {
      Slot slot{.parameter = p, .layer = i, .frozen = frozen[static_cast<std::size_t>(i)]};
      if (p->role == Role::weights) slot.clip = net.layer(i).keys().clip;
      const Shape shape = vector_shape(p->value.size());
      if (p->trained() && p->update) {
        slot.first = Tensor(device, shape);
        if (settings.adam) slot.second = Tensor(device, shape);
        most = std::max(most, shape.c);
      }
      if (settings.ema_alpha > 0) slot.average = Tensor(device, shape);
      slots_.push_back(std::move(slot));
    }
  }
  scratch_ = Buffer(device, check_finite_scratch(most));
}

void Optimizer::update(Slot& slot, const StepState* state, std::int64_t images) {
  Parameter& p = *slot.parameter;
  const UpdateArrays arrays{.value = p.value.data(),
                            .gradient = p.gradient.data(),
                            .first = slot.first.data(),
                            .second = slot.second.data(),
                            .n = p.value.size(),
                            .rate_factor = p.learning_rate,
                            .decay = p.decays() ? settings_.decay : 0,
                            .clip = slot.clip};
  const auto batch = static_cast<float>(images);
  if (settings_.adam)
    adam_update(net_.stream(), arrays, {settings_.b1, settings_.b2, settings_.eps, batch}, state);
  else
    sgd_update(net_.stream(), arrays, {settings_.momentum, batch}, state);
}

void Optimizer::step(StepState* state, std::int64_t images, bool average) {
  const Stream& stream = net_.stream();
  streams(stream.device.type).use(stream.device);
  for (Slot& s : slots_)
    if (s.parameter->updated())
      check_finite(stream, s.parameter->gradient.data(), s.parameter->gradient.size(), state,
                   scratch_.data());
  std::int64_t corrected = -1;
  for (Slot& s : slots_) {
    if (!s.parameter->updated()) continue;
    if (settings_.adam && s.frozen != std::exchange(corrected, s.frozen))
      correct_adam(stream, {.b1 = settings_.b1, .b2 = settings_.b2, .frozen = s.frozen}, state);
    update(s, state, images);
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
    if (!s.first.empty()) all.push_back(&s.parameter->gradient);
  return all;
}

void Optimizer::copy_into_average(Slot& s) {
  memory(s.average.device().type)
      .copy(net_.stream(), s.average.data(), s.parameter->value.data(),
            static_cast<std::size_t>(s.average.bytes()));
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
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::string name = cat("parameter ", i, " of layer ", slots_[i].layer);
    for (const auto& [suffix, tensor] :
         {std::pair<const char*, Tensor*>{" first", &slots_[i].first},
          {" second", &slots_[i].second},
          {" average", &slots_[i].average}})
      if (!tensor->empty()) arrays.push_back({name + suffix, tensor});
  }
  return arrays;
}

}  // namespace darknet
