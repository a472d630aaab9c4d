#include "tests/emulator/gpu.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "tests/emulator/fault.h"

namespace emulator {
namespace {

// An environment variable of 1 to `max`; ends the program with what is wrong with another.
long number_of(const char* name, long normally, long max) {
  const char* const text = std::getenv(name);
  if (!text) return normally;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*text != '\0' && *end == '\0' && value >= 1 && value <= max) return value;
  std::fprintf(stderr, "%s=%s: expected 1 to %ld\n", name, text, max);
  std::_Exit(1);
}

Options read_options() {
  Options o;
  o.devices = static_cast<int>(number_of("EMULATED_GPU_DEVICES", o.devices, 64));
  o.memory = static_cast<std::size_t>(
                 number_of("EMULATED_GPU_MEMORY", static_cast<long>(o.memory >> 20), 65536))
             << 20;
  if (const char* const yes = std::getenv("EMULATED_GPU_PAGEABLE"))
    o.pageable_access = std::atoi(yes) != 0;
  if (const char* const order = std::getenv("EMULATED_GPU_ORDER"))
    o.at_once = std::string_view(order) == "at_once",
    o.others_first = std::string_view(order) == "others_first";
  if (const char* const list = std::getenv("EMULATED_GPU_REFUSE")) {
    std::istringstream in(list);
    for (std::string word; std::getline(in, word, ',');) o.refusals.insert(word);
  }
  return o;
}

cudaError_t error_of(const Fault& f) {
  switch (f.kind()) {
    case FaultKind::illegal_address:
      return cudaErrorIllegalAddress;
    case FaultKind::misaligned_address:
      return cudaErrorMisalignedAddress;
    case FaultKind::instruction:
      return cudaErrorIllegalInstruction;
    default:
      return cudaErrorLaunchFailure;
  }
}

}  // namespace

void Queue::push(Work work, std::vector<Point> after, Gates gate) {
  pending_.push_back({std::move(work), std::move(after), std::move(gate)});
  ++issued_;
}

void Queue::carry_out(std::uint64_t count) {
  while (carried_out_ < count) {
    Gpus::instance().run_others(*this);
    if (carried_out_ < count) carry_out_next();
  }
}

void Queue::carry_out_next() {
  const Item item = std::move(pending_.front());
  pending_.pop_front();
  busy_ = true;  // what it waits for may let other streams run ahead, but not this one
  for (const Point& p : item.after) p.queue->carry_out(p.count);
  if (item.gate)
    for (const Point& p : item.gate->after) p.queue->carry_out(p.count);
  Gpus::instance().run(device_, item.work);
  busy_ = false;
  ++carried_out_;
}

void Queue::run_ahead() {
  const auto done = [](const std::vector<Point>& points) {
    return std::all_of(points.begin(), points.end(),
                       [](const Point& p) { return p.queue->done(p.count); });
  };
  const auto ready = [&](const Item& item) {
    return done(item.after) && (!item.gate || (item.gate->open && done(item.gate->after)));
  };
  while (!busy_ && !pending_.empty() && ready(pending_.front())) carry_out_next();
}

bool Queue::reachable(std::uint64_t count, Seen& seen) const {
  if (done(count)) return true;
  std::uint64_t& looked_at = seen[this];
  if (looked_at >= count) return true;
  looked_at = count;
  const auto all = [&](const std::vector<Point>& points) {
    return std::all_of(points.begin(), points.end(),
                       [&](const Point& p) { return p.queue->reachable(p.count, seen); });
  };
  std::uint64_t at = issued_ - pending_.size();
  for (const Item& item : pending_) {
    if (at++ == count) break;
    if (!all(item.after)) return false;
    if (item.gate && (!item.gate->open || !all(item.gate->after))) return false;
  }
  return true;
}

Gpus& Gpus::instance() {
  static Gpus* const gpus = new Gpus;  // outlives the destructors of static objects
  return *gpus;
}

Gpus::Gpus()
    : options_(read_options()),
      memory_(options_.memory * static_cast<std::size_t>(options_.devices)),
      devices_(static_cast<std::size_t>(options_.devices)) {
  for (std::size_t d = 0; d < devices_.size(); ++d)
    devices_[d].legacy.queue = std::make_shared<Queue>(static_cast<int>(d), true);
}

int& Gpus::current_device() {
  static thread_local int device = 0;
  return device;
}

cudaError_t& Gpus::last_error() {
  static thread_local cudaError_t error = cudaSuccess;
  return error;
}

cudaError_t Gpus::fail(cudaError_t error) {
  if (error != cudaSuccess) last_error() = error;
  return error;
}

Stream* Gpus::find(cudaStream_t handle) {
  if (!handle) return &devices_[static_cast<std::size_t>(current_device())].legacy;
  for (const auto& s : streams_)
    if (reinterpret_cast<cudaStream_t>(s.get()) == handle) return s.get();
  return nullptr;
}

cudaStream_t Gpus::open_stream() {
  auto stream = std::make_unique<Stream>();
  stream->queue = std::make_shared<Queue>(current_device(), false);
  streams_.push_back(std::move(stream));
  return reinterpret_cast<cudaStream_t>(streams_.back().get());
}

void Gpus::close_stream(cudaStream_t handle) {
  Stream* const stream = find(handle);
  carry_out(*stream->queue, stream->queue->issued());
  std::erase_if(streams_, [&](const auto& s) { return s.get() == stream; });
}

// The legacy stream waits for all others of its device, and they wait for it.
std::vector<Point> Gpus::before(const Stream& stream) const {
  std::vector<Point> points;
  const int device = stream.queue->device();
  const auto add = [&](const Stream& s) {
    if (!s.queue->done(s.queue->issued())) points.push_back({s.queue, s.queue->issued()});
  };
  if (!stream.queue->legacy()) {
    add(devices_[static_cast<std::size_t>(device)].legacy);
  } else {
    for (const auto& s : streams_)
      if (s->queue->device() == device) add(*s);
  }
  return points;
}

cudaError_t Gpus::issue(cudaStream_t handle, Work work, Gates gate) {
  Stream* const stream = find(handle);
  if (!stream || stream->queue->device() != current_device())
    return fail(cudaErrorInvalidResourceHandle);
  const int device = stream->queue->device();
  if (const cudaError_t e = sticky(device)) return fail(e);
  if (stream->capture) {
    if (stream->capture->invalidated) return fail(cudaErrorStreamCaptureInvalidated);
    if (gate) return fail(cudaErrorStreamCaptureUnsupported);
    stream->capture->graph->work.push_back(std::move(work));
    return cudaSuccess;
  }
  if (stream->queue->legacy())
    for (const auto& s : streams_)
      if (s->capture && s->queue->device() == device) {
        s->capture->invalidated = true;
        return fail(cudaErrorStreamCaptureImplicit);
      }
  Queue& queue = *stream->queue;
  queue.push(std::move(work), before(*stream), std::move(gate));
  if (options_.at_once && reachable(queue, queue.issued())) queue.carry_out(queue.issued());
  return cudaSuccess;
}

void Gpus::hang(int device, const char* why) {
  std::fprintf(stderr, "emulated GPU %d: the host waits for ever: %s\n", device, why);
  std::abort();
}

void Gpus::refuse_to_wait(const Queue& queue, std::uint64_t count) const {
  if (is_stuck(queue.device()) && sticky(queue.device()) == cudaSuccess && !queue.done(count))
    hang(queue.device(), "an all-reduce failed, and nobody asked NCCL or aborted it");
}

bool Gpus::reachable(const Queue& queue, std::uint64_t count) {
  Queue::Seen seen;
  return queue.reachable(count, seen);
}

bool Gpus::wait_for_others(const std::function<bool()>& condition) {
  constexpr auto kPatience = std::chrono::seconds(5);
  return changed_.wait_for(mutex_, kPatience, condition);
}

void Gpus::carry_out(Queue& queue, std::uint64_t count) {
  refuse_to_wait(queue, count);
  if (!wait_for_others([&] { return reachable(queue, count); }))
    hang(queue.device(), "an all-reduce that another rank does not ask for");
  queue.carry_out(count);
}

cudaError_t Gpus::query(const Point& point) {
  for (Device& d : devices_)
    if (d.breaks_in > 0 && --d.breaks_in == 0) d.sticky = cudaErrorLaunchFailure;
  if (const cudaError_t e = sticky(point.queue->device())) return fail(e);
  if (point.queue->done(point.count)) return cudaSuccess;
  if (!is_stuck(point.queue->device()) && reachable(*point.queue, point.count))
    point.queue->carry_out(point.count);
  return fail(cudaErrorNotReady);
}

cudaError_t Gpus::wait(Point point) {
  carry_out(*point.queue, point.count);
  return fail(sticky(point.queue->device()));
}

cudaError_t Gpus::wait_for_device(int device) {
  std::vector<std::shared_ptr<Queue>> queues{
      devices_[static_cast<std::size_t>(device)].legacy.queue};
  for (const auto& s : streams_)
    if (s->queue->device() == device) queues.push_back(s->queue);
  for (const auto& queue : queues) carry_out(*queue, queue->issued());
  return fail(sticky(device));
}

cudaError_t Gpus::allow_unsafe_call() {
  for (const auto& s : streams_) {
    if (!s->capture || s->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (s->capture->mode == cudaStreamCaptureModeThreadLocal &&
        s->capture->thread != std::this_thread::get_id())
      continue;
    s->capture->invalidated = true;
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

void Gpus::run_others(const Queue& self) {
  if (!options_.others_first || running_others_) return;
  running_others_ = true;
  for (const auto& s : streams_)
    if (s->queue.get() != &self) s->queue->run_ahead();
  running_others_ = false;
}

void Gpus::run(int device, const Work& work) {
  Device& d = devices_[static_cast<std::size_t>(device)];
  if (d.sticky != cudaSuccess) return;
  try {
    work();
  } catch (const Fault& f) {
    std::fprintf(stderr, "emulated GPU %d: %s\n", device, f.what());
    d.sticky = error_of(f);
  }
}

}  // namespace emulator
