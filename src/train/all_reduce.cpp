#include "train/all_reduce.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/device_guard.h"
#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "kernels/batch_norm.h"
#include "nn/running_values.h"
#include "nn/weights.h"

namespace darknet {
namespace {

// Of all statistics, without the places where they are kept and summed.
std::vector<RollingArrays> rolling_arrays(const Network& net) {
  std::vector<RollingArrays> all;
  for (const Parameter* p : net.parameters())
    if (!p->trained())
      all.push_back(
          {.value = p->value.data(), .n = p->value.size(), .frozen = p->frozen_iterations});
  return all;
}

const Stream& stream_of(const Replica& s) { return s.net->stream(); }
Memory& memory_of(const Replica& s) { return memory(stream_of(s).device.type); }
const Device& device_of(const Replica& s) { return stream_of(s).device; }

float* floats(const Buffer& b) { return static_cast<float*>(b.data()); }
std::int64_t floats_of(std::int64_t bytes) { return bytes / std::int64_t{sizeof(float)}; }
std::size_t bytes_of(std::int64_t n) { return to_size(n) * sizeof(float); }

}  // namespace

// To measure what overlapping gains.
bool may_overlap() {
  const char* const set = std::getenv("DARKNET_OVERLAP");
  const std::string_view value = set ? set : "1";
  if (value != "0" && value != "1")
    throw Error(cat("DARKNET_OVERLAP is '", shown(value), "'; expected 0 or 1"));
  return value == "1";
}

std::array<AllReduce::Summed, 2> AllReduce::Place::summed() const {
  const TensorView gradients = replica.net->gradients();
  return {{{gradients.as<>().data, gradients.shape.size()},
           {floats(shared), floats_of(shared.bytes())}}};
}

AllReduce::Place AllReduce::make_place(const Replica& replica, StepState* state) {
  Place p{.replica = replica, .state = state};
  const Device& device = device_of(replica);
  const DeviceGuard guard(device);
  std::vector<RollingArrays> rolling = rolling_arrays(*replica.net);
  std::int64_t statistics = 0, n = 1;
  for (const RollingArrays& r : rolling) statistics += r.n;
  for (const RunningAt& at : running_values(*replica.net))
    n += kFloatsPerInteger * at.values->sums();
  p.shared =
      Buffer(device, static_cast<std::int64_t>(bytes_of(statistics + n)), MemoryAccess::peer);
  p.kept = Buffer(device, static_cast<std::int64_t>(bytes_of(statistics)));
  std::int64_t at = 0;
  for (RollingArrays& r : rolling) {
    r.kept = floats(p.kept) + at;
    r.shared = floats(p.shared) + at;
    at += r.n;
  }
  p.rolling = {stream_of(replica), std::move(rolling)};
  p.packed = streams(device.type).event(device);
  p.taken = streams(device.type).event(device);
  return p;
}

AllReduce::AllReduce(const std::vector<Replica>& replicas, const std::vector<StepState*>& states,
                     std::int64_t micro_batches, const TrainingRanks& ranks)
    : ranks_(ranks), in_order_(replicas.front().net->options().deterministic) {
  keep_ = std::pow(kRollingKeep, static_cast<float>(micro_batches));
  std::vector<Device> all;
  for (std::size_t d = 0; d < replicas.size(); ++d) {
    places_.push_back(make_place(replicas[d], states[d]));
    all.push_back(device_of(replicas[d]));
  }
  const Device& first = all.front();
  std::int64_t largest = 0;
  for (const Summed& s : places_.front().summed()) largest = std::max(largest, s.n);
  if (ranks_.ranks->several() && first.type != DeviceType::cpu)
    on_host_ = PinnedBuffer(first.type, static_cast<std::int64_t>(bytes_of(largest)));
  if (ranks_.ranks->several() && first.type == DeviceType::cpu && all.size() == 1 && may_overlap())
    overlapped_.emplace(*replicas.front().net, *ranks_.ranks, SumOptions{.bf16 = ranks_.bf16});
  if (all.size() == 1) return;
  summed_ = streams(first.type).event(first);
  if (!in_order_) library_ = streams(first.type).all_reduce(all);
  if (library_) return;
  places_.front().incoming =
      Buffer(first, static_cast<std::int64_t>(bytes_of(largest)), MemoryAccess::peer);
}

std::int64_t AllReduce::bytes(std::size_t place) const {
  const Place& p = places_[place];
  return p.shared.bytes() + p.incoming.bytes() + p.kept.bytes();
}

void AllReduce::keep_statistics() {
  for (const Place& p : places_) {
    const DeviceGuard guard(device_of(p.replica));
    keep_rolling(stream_of(p.replica), p.rolling);
  }
}

template <class Running>
float* AllReduce::visit(const Place& p, Running running) {
  float* at = floats(p.shared) + floats_of(p.kept.bytes());
  for (const RunningAt& kept : running_values(*p.replica.net)) {
    running(*kept.values, at);
    at += kFloatsPerInteger * kept.values->sums();
  }
  return at;
}

void AllReduce::pack(Place& p, std::int64_t device) {
  const DeviceGuard guard(device_of(p.replica));
  const Stream& stream = stream_of(p.replica);
  const std::int64_t of_all = ranks_.ranks->rank() * std::ssize(places_) + device;
  const auto later = static_cast<float>(devices() - 1 - of_all);
  share_rolling(stream, p.rolling, keep_, std::pow(keep_, later));
  float* const error = visit(p, [&](const RunningValues& r, float* to) {
    share_integers(stream, r.arrays().sums, to, r.sums());
  });
  share_error(stream, p.state, error);
  p.packed->record(stream);
}

void AllReduce::unpack(Place& p) {
  const DeviceGuard guard(device_of(p.replica));
  const Stream& stream = stream_of(p.replica);
  take_rolling(stream, p.rolling, std::pow(keep_, static_cast<float>(devices())), p.state);
  const float* const error = visit(p, [&](const RunningValues& r, const float* from) {
    take_integers(stream, from, r.arrays().sums, r.sums());
  });
  take_error(stream, error, p.state);
}

// Into the first device's.
void AllReduce::collect_in_order(std::size_t array) {
  Place& first = places_.front();
  const Summed sum = first.summed()[array];
  const Stream& stream = stream_of(first.replica);
  const DeviceGuard guard(device_of(first.replica));
  for (std::size_t d = 1; d < places_.size(); ++d) {
    const Place& p = places_[d];
    p.packed->make_wait(stream);
    memory_of(first.replica)
        .copy_from(stream, first.incoming.data(), device_of(p.replica), p.summed()[array].data,
                   bytes_of(sum.n));
    add_array(stream, floats(first.incoming), sum.data, sum.n);
  }
}

// What the first device has.
void AllReduce::give_to_all(std::size_t array) {
  const Place& first = places_.front();
  const Summed sum = first.summed()[array];
  const Stream& stream = stream_of(first.replica);
  const DeviceGuard guard(device_of(first.replica));
  summed_->record(stream);
  for (std::size_t d = 1; d < places_.size(); ++d) {
    Place& p = places_[d];
    const DeviceGuard other(device_of(p.replica));
    summed_->make_wait(stream_of(p.replica));
    memory_of(p.replica).copy_from(stream_of(p.replica), p.summed()[array].data, stream.device,
                                   sum.data, bytes_of(sum.n));
    p.taken->record(stream_of(p.replica));
  }
  for (std::size_t d = 1; d < places_.size(); ++d) places_[d].taken->make_wait(stream);
}

void AllReduce::sum_devices(std::size_t array) {
  if (!library_) return collect_in_order(array);
  std::vector<Stream> all;
  std::vector<float*> arrays;
  for (const Place& p : places_) {
    all.push_back(stream_of(p.replica));
    arrays.push_back(p.summed()[array].data);
  }
  library_->run(all, arrays, places_.front().summed()[array].n);
}

// Of the first device's array.
void AllReduce::sum_ranks(std::size_t array) {
  const Place& first = places_.front();
  const Summed sum = first.summed()[array];
  const bool gradients = array == 0;
  if (gradients && overlapped_ && overlapped_->begun()) return overlapped_->finish();
  const SumOptions options{.bf16 = gradients && ranks_.bf16};
  const Stream& stream = stream_of(first.replica);
  if (stream.device.type == DeviceType::cpu)
    return ranks_.ranks->sum({sum.data, to_size(sum.n)}, options);
  const DeviceGuard guard(stream.device);
  auto* const host = reinterpret_cast<float*>(on_host_.data());
  memory(stream.device.type).fetch(stream, host, sum.data, bytes_of(sum.n));
  memory(stream.device.type).synchronize(stream);
  ranks_.ranks->sum({host, to_size(sum.n)}, options);
  memory(stream.device.type).send(stream, sum.data, host, bytes_of(sum.n));
}

void AllReduce::before_last_backward() {
  if (overlapped_) overlapped_->begin();
}

void AllReduce::backward_failed(const std::string& why) {
  if (overlapped_ && overlapped_->begun()) overlapped_->give_up(why);
}

void AllReduce::run() {
  const bool ranks = ranks_.ranks->several();
  for (std::size_t d = 0; d < places_.size(); ++d) pack(places_[d], static_cast<std::int64_t>(d));
  for (std::size_t array = 0; array < places_.front().summed().size(); ++array) {
    if (places_.front().summed()[array].n == 0) continue;  // nothing is trained
    if (places_.size() > 1) sum_devices(array);
    if (ranks) sum_ranks(array);
    if (places_.size() > 1 && (ranks || !library_)) give_to_all(array);
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
