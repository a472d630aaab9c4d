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
#include "core/together.h"
#include "kernels/batch_norm.h"
#include "nn/running_values.h"
#include "nn/weights.h"
#include "train/join_devices.h"

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

bool is_on(const char* variable) {
  const char* const set = std::getenv(variable);
  const std::string_view value = set ? set : "1";
  if (value != "0" && value != "1")
    throw Error(cat(variable, " is '", shown(value), "'; expected 0 or 1"));
  return value == "1";
}

}  // namespace

bool may_overlap() { return is_on("DARKNET_OVERLAP"); }
bool may_use_nccl() { return is_on("DARKNET_NCCL"); }

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
  for (std::size_t d = 0; d < replicas.size(); ++d)
    places_.push_back(make_place(replicas[d], states[d]));
  if (!ranks_.ranks->several()) choose_sums(nullptr);
}

void AllReduce::join_ranks() {
  Ranks& ranks = *ranks_.ranks;
  if (!ranks.several()) return;
  const std::vector<Device> own = own_devices();
  const DeviceType type = own.front().type;
  std::unique_ptr<JoinedDevices> joined;
  if (type != DeviceType::cpu && !in_order_)
    joined =
        join_devices(own, ranks, device_joiner(type), {.wanted = uses_nccl_, .bf16 = ranks_.bf16});
  together(ranks, [&] { choose_sums(std::move(joined)); });
}

void AllReduce::leave_ranks() {
  if (joined_) joined_->leave();
}

void AllReduce::choose_sums(std::unique_ptr<JoinedDevices> joined) {
  const Device first = device_of(places_.front().replica);
  const bool several = places_.size() > 1, ranks = ranks_.ranks->several();
  std::int64_t largest = 0;
  for (const Summed& s : places_.front().summed()) largest = std::max(largest, s.n);
  const auto bytes = static_cast<std::int64_t>(bytes_of(largest));
  if (!in_order_) open_library(std::move(joined));
  if (ranks && first.type != DeviceType::cpu && !joined_)
    on_host_ = PinnedBuffer(first.type, bytes);
  if (ranks && first.type == DeviceType::cpu && !several && overlaps_) {
    Network& net = *places_.front().replica.net;
    std::vector<Bucket> buckets = buckets_of(net, ranks_.bucket_bytes);
    rank_sums_.emplace(net, *ranks_.ranks, SumOptions{.bf16 = ranks_.bf16}, buckets);
    overlap(*rank_sums_, std::move(buckets));
  }
  if (!several) return;
  const DeviceGuard guard(first);
  summed_ = streams(first.type).event(first);
  if (!library_) places_.front().incoming = Buffer(first, bytes, MemoryAccess::peer);
}

// `joined`: over all ranks; where it is null, one over this rank's devices.
void AllReduce::open_library(std::unique_ptr<JoinedDevices> joined) {
  const std::vector<Device> own = own_devices();
  joined_ = joined.get();
  library_ = std::move(joined);
  if (!library_ && own.size() > 1 && uses_nccl_)
    library_ = streams(own.front().type).all_reduce(own);
  if (!library_) return;
  std::vector<Bucket> buckets = buckets_of(*places_.front().replica.net, ranks_.bucket_bytes);
  device_sums_.emplace(networks(), *library_, buckets);
  if (joined_ && ranks_.bf16) device_sums_->use_bf16(*joined_);
  if (sums_all()) overlap(*device_sums_, std::move(buckets));
}

void AllReduce::overlap(BucketSums& sums, std::vector<Bucket> buckets) {
  overlapped_.emplace(networks(), *ranks_.ranks, std::move(buckets), sums);
}

std::vector<Network*> AllReduce::networks() const {
  std::vector<Network*> all;
  for (const Place& p : places_) all.push_back(p.replica.net);
  return all;
}

std::vector<Device> AllReduce::own_devices() const {
  std::vector<Device> all;
  for (const Place& p : places_) all.push_back(device_of(p.replica));
  return all;
}

std::vector<float*> AllReduce::arrays(std::size_t array) const {
  std::vector<float*> all;
  for (const Place& p : places_) all.push_back(p.summed()[array].data);
  return all;
}

std::int64_t AllReduce::bytes(std::size_t place) const {
  const Place& p = places_[place];
  const std::int64_t rounded = device_sums_ ? device_sums_->bytes(place) : 0;
  return p.shared.bytes() + p.incoming.bytes() + p.kept.bytes() + rounded;
}

void AllReduce::begin_step() {
  if (overlapped_) overlapped_->restart();
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
  device_sums_->sum(arrays(array), places_.front().summed()[array].n);
}

// Of the first device's array.
void AllReduce::sum_ranks(std::size_t array) {
  const Place& first = places_.front();
  const Summed sum = first.summed()[array];
  const bool gradients = array == 0;
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

void AllReduce::before_last_backward(std::size_t replica) {
  if (overlapped_ && overlaps_) overlapped_->begin(replica);
}

void AllReduce::step_failed(const std::string& why) {
  if (overlapped_ && (overlapped_->begun() || joined_)) overlapped_->give_up(why);
}

void AllReduce::sum(std::size_t array) {
  const bool gradients = array == 0;
  if (gradients && overlapped_) return overlapped_->finish();
  const bool several = places_.size() > 1, ranks = ranks_.ranks->several();
  if (sums_all()) return sum_devices(array);
  if (several) sum_devices(array);
  if (ranks) sum_ranks(array);
  if (several) give_to_all(array);
}

void AllReduce::run() {
  for (std::size_t d = 0; d < places_.size(); ++d) pack(places_[d], static_cast<std::int64_t>(d));
  for (std::size_t array = 0; array < places_.front().summed().size(); ++array)
    if (places_.front().summed()[array].n > 0) sum(array);  // 0: nothing is trained
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
