#include "train/all_reduce.h"

#include <cmath>

#include "core/device_guard.h"
#include "core/index.h"
#include "kernels/all_reduce.h"
#include "kernels/batch_norm.h"
#include "nn/running_values.h"
#include "nn/weights.h"

namespace darknet {
namespace {

std::vector<Parameter*> rolling(const Network& net) {
  std::vector<Parameter*> found;
  for (Parameter* p : net.parameters())
    if (!p->trained()) found.push_back(p);
  return found;
}

const Stream& stream_of(const Replica& s) { return s.net->stream(); }
Memory& memory_of(const Replica& s) { return memory(stream_of(s).device.type); }
const Device& device_of(const Replica& s) { return stream_of(s).device; }

float* floats(const Buffer& b) { return static_cast<float*>(b.data()); }
std::size_t bytes_of(const Tensor& t) { return to_size(t.bytes()); }

}  // namespace

AllReduce::AllReduce(const std::vector<Replica>& replicas, const std::vector<StepState*>& states,
                     std::int64_t micro_batches, bool in_order) {
  keep_ = std::pow(kRollingKeep, static_cast<float>(micro_batches));
  std::vector<Device> devices;
  for (std::size_t d = 0; d < replicas.size(); ++d) {
    const Replica& replica = replicas[d];
    Place p{.replica = replica, .state = states[d]};
    const Device& device = stream_of(replica).device;
    devices.push_back(device);
    std::int64_t n = 1;
    for (const Tensor* g : replica.optimizer->gradients()) n += g->size();
    for (const Parameter* r : rolling(*replica.net)) {
      n += r->value.size();
      p.kept.emplace_back(device, r->value.bytes());
    }
    for (const RunningAt& at : running_values(*replica.net))
      n += kFloatsPerInteger * at.values->sums();
    floats_ = n;
    p.shared = Buffer(device, n * std::int64_t{sizeof(float)}, MemoryAccess::peer);
    p.packed = streams(device.type).event(device);
    p.taken = streams(device.type).event(device);
    places_.push_back(std::move(p));
  }
  const DeviceType type = devices.front().type;
  if (!in_order) library_ = streams(type).all_reduce(devices);
  if (library_) return;
  summed_ = streams(type).event(devices.front());
  places_.front().incoming = Buffer(devices.front(), places_.front().shared.bytes());
}

std::int64_t AllReduce::bytes(std::size_t place) const {
  const Place& p = places_[place];
  std::int64_t all = p.shared.bytes() + p.incoming.bytes();
  for (const Buffer& kept : p.kept) all += kept.bytes();
  return all;
}

void AllReduce::keep_statistics() {
  for (Place& p : places_) {
    const DeviceGuard guard(device_of(p.replica));
    const auto statistics = rolling(*p.replica.net);
    for (std::size_t i = 0; i < statistics.size(); ++i)
      memory_of(p.replica).copy(stream_of(p.replica), p.kept[i].data(), statistics[i]->value.data(),
                                bytes_of(statistics[i]->value));
  }
}

template <class Gradient, class Statistics, class Running>
float* AllReduce::visit(Place& p, Gradient gradient, Statistics statistics, Running running) const {
  float* at = floats(p.shared);
  for (const Tensor* g : p.replica.optimizer->gradients()) {
    gradient(*g, at);
    at += g->size();
  }
  std::size_t i = 0;
  for (const Parameter* r : rolling(*p.replica.net)) {
    // Frozen ones are equal everywhere, and stay.
    if (r->moves())
      statistics(RollingArrays{r->value.data(), floats(p.kept[i]), at, r->value.size()});
    ++i;
    at += r->value.size();
  }
  for (const RunningAt& kept : running_values(*p.replica.net)) {
    running(*kept.values, at);
    at += kFloatsPerInteger * kept.values->sums();
  }
  return at;
}

void AllReduce::pack(Place& p, std::int64_t device) {
  const DeviceGuard guard(device_of(p.replica));
  const Stream& stream = stream_of(p.replica);
  const auto later = static_cast<float>(std::ssize(places_) - 1 - device);
  float* const error = visit(
      p,
      [&](const Tensor& g, float* to) {
        memory_of(p.replica).copy(stream, to, g.data(), bytes_of(g));
      },
      [&](const RollingArrays& r) { share_rolling(stream, r, keep_, std::pow(keep_, later)); },
      [&](const RunningValues& r, float* to) {
        share_integers(stream, r.arrays().sums, to, r.sums());
      });
  share_error(stream, p.state, error);
  p.packed->record(stream);
}

void AllReduce::unpack(Place& p) {
  const DeviceGuard guard(device_of(p.replica));
  const Stream& stream = stream_of(p.replica);
  const float keep = std::pow(keep_, static_cast<float>(places_.size()));
  const float* const error = visit(
      p,
      [&](const Tensor& g, const float* from) {
        memory_of(p.replica).copy(stream, g.data(), from, bytes_of(g));
      },
      [&](const RollingArrays& r) { take_rolling(stream, r, keep); },
      [&](const RunningValues& r, const float* from) {
        take_integers(stream, from, r.arrays().sums, r.sums());
      });
  take_error(stream, error, p.state);
}

void AllReduce::sum_in_order() {
  Place& first = places_.front();
  const Stream& stream = stream_of(first.replica);
  const std::size_t bytes = to_size(floats_) * sizeof(float);
  const DeviceGuard guard(device_of(first.replica));
  for (std::size_t d = 1; d < places_.size(); ++d) {
    const Place& p = places_[d];
    p.packed->make_wait(stream);
    memory_of(first.replica)
        .copy_from(stream, first.incoming.data(), stream_of(p.replica).device, p.shared.data(),
                   bytes);
    add_array(stream, floats(first.incoming), floats(first.shared), floats_);
  }
  summed_->record(stream);
  for (std::size_t d = 1; d < places_.size(); ++d) {
    Place& p = places_[d];
    const DeviceGuard other(device_of(p.replica));
    summed_->make_wait(stream_of(p.replica));
    memory_of(p.replica).copy_from(stream_of(p.replica), p.shared.data(), stream.device,
                                   first.shared.data(), bytes);
    p.taken->record(stream_of(p.replica));
  }
  for (std::size_t d = 1; d < places_.size(); ++d) places_[d].taken->make_wait(stream);
}

void AllReduce::run() {
  for (std::size_t d = 0; d < places_.size(); ++d) pack(places_[d], static_cast<std::int64_t>(d));
  if (library_) {
    std::vector<Stream> all;
    std::vector<float*> arrays;
    for (const Place& p : places_) {
      all.push_back(stream_of(p.replica));
      arrays.push_back(floats(p.shared));
    }
    library_->run(all, arrays, floats_);
  } else {
    sum_in_order();
  }
  for (Place& p : places_) unpack(p);
}

void copy_training(const Replica& from, const Replica& to) {
  copy_parameters(*from.net, *to.net);
  const auto sources = from.optimizer->state(), targets = to.optimizer->state();
  for (std::size_t i = 0; i < sources.size(); ++i)
    targets[i].tensor->copy_from(stream_of(to), sources[i].tensor->to_host(stream_of(from)));
  const auto kept = running_values(*from.net), others = running_values(*to.net);
  for (std::size_t i = 0; i < kept.size(); ++i)
    others[i].values->copy_from(stream_of(to), kept[i].values->to_host(stream_of(from)));
  to.optimizer->set_averaging(from.optimizer->has_average());
}

}  // namespace darknet
