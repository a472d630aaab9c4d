// Two CUDA devices that are simulated, in place of cuda/absent.cpp, with the CPU's plans behind
// them. As on a card, work is done later than it is asked for, each device reaches its own memory
// alone and the host none, and a recording holds what it was given. What runs here on every
// schedule neither forgets a wait nor uses memory too early or too late. It says nothing about nvcc
// or a card.
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/device_memory.h"
#include "core/error.h"
#include "core/index.h"
#include "core/joined_devices.h"
#include "core/ops.h"
#include "tests/simulated_device_queues.h"

namespace darknet {
namespace {

using simulated::Queues;
using simulated::queues;
using simulated::TaskPointer;

// Blocks of memory of one kind.
class Blocks {
 public:
  void add(const void* p, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    blocks_[static_cast<const char*>(p)] = bytes;
  }
  void remove(const void* p) {
    const std::lock_guard lock(mutex_);
    blocks_.erase(static_cast<const char*>(p));
  }
  // Throws unless the bytes lie within one of them.
  void require(const void* p, std::size_t bytes, const char* otherwise) {
    const std::lock_guard lock(mutex_);
    const auto* const at = static_cast<const char*>(p);
    auto found = blocks_.upper_bound(at);
    if (found == blocks_.begin() || at + bytes > std::prev(found)->first + std::prev(found)->second)
      fail("simulated device: ", otherwise);
  }

 private:
  std::mutex mutex_;
  std::map<const char*, std::size_t> blocks_;
};

// Host memory that the devices may reach later than they are asked to.
class PinnedMemory : public Blocks {
 public:
  void require(const void* p, std::size_t bytes) {
    Blocks::require(p, bytes, "host memory that is not, or no longer, from allocate_pinned");
  }
};

PinnedMemory& pinned() {
  static PinnedMemory memory;
  return memory;
}

class SimulatedMemory final : public Memory {
 public:
  void* allocate(const Device& device, std::size_t bytes) override {
    Queues::use(device);
    void* const p = queues().allocate(device.index, bytes);
    in_use_.at(to_size(std::int64_t{device.index})) += static_cast<std::int64_t>(bytes);
    return p;
  }
  std::int64_t in_use(int device) const { return in_use_.at(to_size(std::int64_t{device})); }
  void release(const Device& device, void* p, std::size_t bytes) noexcept override {
    in_use_.at(to_size(std::int64_t{device.index})) -= static_cast<std::int64_t>(bytes);
    queues().release(device.index, p, bytes);
  }
  void* allocate_for_peers(const Device& device, std::size_t bytes) override {
    void* const p = allocate(device, bytes);
    for_peers_.add(p, bytes);
    return p;
  }
  void release_for_peers(const Device& device, void* p, std::size_t bytes) noexcept override {
    for_peers_.remove(p);
    release(device, p, bytes);
  }
  void require_for_peers(const void* p, std::size_t bytes) {
    for_peers_.require(p, bytes, "memory that its peers do not reach");
  }
  // Ordinary host memory is taken over at once; it gets to the device in the stream's order.
  void copy_in(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, to, bytes);
    queues().refuse_while_capturing("a copy from the host");
    const auto* const begin = static_cast<const char*>(from);
    queues().ask(s, {[to, taken = std::vector<char>(begin, begin + bytes)] {
                   std::memcpy(to, taken.data(), taken.size());
                 }});
  }
  void copy_out(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, from, bytes);
    queues().ask_and_wait(s, {[=] { std::memcpy(to, from, bytes); }});
  }
  void copy(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, to, bytes);
    prepare(s, from, bytes);
    queues().ask(s, {[=] { std::memmove(to, from, bytes); }});
  }
  void* allocate_pinned(std::size_t bytes) override {
    queues().refuse_while_capturing("an allocation");
    void* const p = Memory::allocate_pinned(bytes);
    std::memset(p, 0xFF, bytes);
    pinned().add(p, bytes);
    return p;
  }
  void release_pinned(void* p) noexcept override {
    queues().spoil_capture();
    pinned().remove(p);
    Memory::release_pinned(p);
  }
  void send(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, to, bytes);
    pinned().require(from, bytes);
    queues().ask(s, {[=] {
                   pinned().require(from, bytes);
                   std::memcpy(to, from, bytes);
                 }});
  }
  void fetch(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, from, bytes);
    pinned().require(to, bytes);
    queues().ask(s, {[=] {
                   pinned().require(to, bytes);
                   std::memcpy(to, from, bytes);
                 }});
  }
  void copy_from(const Stream& s, void* to, const Device& there, const void* from,
                 std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, to, bytes);
    queues().require_memory(there.index, from, bytes);
    queues().ask(s, {[=] { std::memmove(to, from, bytes); }, there.index});
  }
  void zero(const Stream& s, void* at, std::size_t bytes) override {
    if (bytes == 0) return;
    prepare(s, at, bytes);
    queues().ask(s, {[=] { std::memset(at, 0, bytes); }});
  }
  void synchronize(const Stream& s) override {
    Queues::use(s.device);
    queues().wait(s);
  }

 private:
  Blocks for_peers_;
  std::array<std::int64_t, simulated::kDevices> in_use_{};  // bytes
  static void prepare(const Stream& s, const void* on_device, std::size_t bytes) {
    Queues::use(s.device);
    queues().require_memory(s.device.index, on_device, bytes);
  }
};

SimulatedMemory& simulated_memory() {
  static SimulatedMemory memory;
  return memory;
}

// The library that sums over devices: what each stream holds for its array is what counts.
class SimulatedSum final : public AllReduceLibrary {
 public:
  explicit SimulatedSum(std::span<const Device> devices)
      : devices_(devices.begin(), devices.end()) {}
  void run(std::span<const Stream> streams, std::span<float* const> arrays,
           std::int64_t n) override {
    const auto bytes = to_size(n) * sizeof(float);
    std::vector<float> sum(to_size(n)), one(sum.size());
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      if (!(streams[d].device == devices_[d])) fail("simulated device: a sum in another order");
      simulated_memory().require_for_peers(arrays[d], bytes);
      simulated_memory().copy_out(streams[d], one.data(), arrays[d], bytes);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one[i];
    }
    for (std::size_t d = 0; d < devices_.size(); ++d)
      simulated_memory().copy_in(streams[d], arrays[d], sum.data(), bytes);
  }

 private:
  std::vector<Device> devices_;
};

class SimulatedEvent final : public Event {
 public:
  explicit SimulatedEvent(const Device& device) : device_(device) { Queues::use(device); }
  void record(const Stream& s) override {
    Queues::use(device_);
    if (s.device.index != device_.index)
      fail("simulated device: an event of ", to_string(device_), " on a stream of ",
           to_string(s.device));
    queues().mark(s, last_);
  }
  void make_wait(const Stream& s) override { queues().make_wait(s, last_); }
  void wait() override { queues().wait(last_); }
  double seconds_since(const Event& earlier) const override {
    const auto& other = dynamic_cast<const SimulatedEvent&>(earlier);
    const auto end = queues().when(last_), begin = queues().when(other.last_);
    if (!begin || !end || other.device_.index != device_.index)
      fail("simulated device: events that have not passed, or not on one device");
    return std::chrono::duration<double>(*end - *begin).count();
  }

 private:
  Device device_;
  TaskPointer last_;
};

class SimulatedRecording final : public CapturedGraph {
 public:
  SimulatedRecording(const Device& device, std::vector<simulated::Work> work)
      : device_(device), work_(std::move(work)) {}
  void replay(const Stream& s) override {
    if (s.device.index != device_.index)
      fail("simulated device: a recording of ", to_string(device_), " on ", to_string(s.device));
    for (const simulated::Work& w : work_) queues().ask(s, w);
  }

 private:
  Device device_;
  std::vector<simulated::Work> work_;
};

class SimulatedStreams final : public Streams {
 public:
  void use(const Device& device) override { Queues::use(device); }
  void* open(const Device& device) override {
    Queues::use(device);
    return queues().open(device.index);
  }
  void close(const Device& device, void* native) noexcept override {
    Queues::use(device);
    queues().spoil_capture();
    queues().close(static_cast<simulated::Queue*>(native));
  }
  std::unique_ptr<Event> event(const Device& device) override {
    return std::make_unique<SimulatedEvent>(device);
  }
  std::unique_ptr<AllReduceLibrary> all_reduce(std::span<const Device> devices) override {
    return std::make_unique<SimulatedSum>(devices);
  }
  std::unique_ptr<CapturedGraph> record(const Stream& s,
                                        const std::function<void()>& work) override {
    queues().begin_capture(s);
    try {
      work();
    } catch (...) {
      queues().drop_capture(s);
      throw;
    }
    return std::make_unique<SimulatedRecording>(s.device, queues().end_capture(s));
  }
};

// The CPU's plan; what was asked of it may be done when this one is gone.
class SimulatedConv final : public ConvPlan {
 public:
  explicit SimulatedConv(std::shared_ptr<ConvPlan> plan) : plan_(std::move(plan)) {}
  Epilogue fused() const override { return plan_->fused(); }
  std::int64_t workspace() const override { return plan_->workspace(); }
  std::int64_t packed_weights() const override { return 0; }  // on the device; the host has some
  std::string description() const override { return plan_->description(); }
  std::string algorithm(ConvDirection d) const override { return plan_->algorithm(d); }
  std::vector<std::string> algorithms(ConvDirection d) const override {
    return plan_->algorithms(d);
  }
  void set_weights(const Stream& s, const float* weights, void* w) override {
    launch_elsewhere(s, [=, plan = plan_] { plan->set_weights({}, weights, w); });
  }
  void forward(const Stream& s, TensorView in, const float* bias, TensorView out,
               void* w) override {
    launch_elsewhere(s, [=, plan = plan_] { plan->forward({}, in, bias, out, w); });
  }
  void backward_data(const Stream& s, TensorView out, TensorView in, bool add, void* w) override {
    launch_elsewhere(s, [=, plan = plan_] { plan->backward_data({}, out, in, add, w); });
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out, float* weights,
                        void* w) override {
    launch_elsewhere(s, [=, plan = plan_] { plan->backward_weights({}, in, out, weights, w); });
  }

 private:
  std::shared_ptr<ConvPlan> plan_;
};

class SimulatedGemm final : public GemmPlan {
 public:
  explicit SimulatedGemm(std::shared_ptr<GemmPlan> plan) : plan_(std::move(plan)) {}
  std::int64_t workspace() const override { return plan_->workspace(); }
  void run(const Stream& s, const float* a, const float* b, float* c, void* w) override {
    launch_elsewhere(s, [=, plan = plan_] { plan->run({}, a, b, c, w); });
  }

 private:
  std::shared_ptr<GemmPlan> plan_;
};

class SimulatedOps final : public Ops {
 public:
  std::shared_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    Ops& plans = o.precision == DType::f32 ? ops(DeviceType::cpu) : reference_ops();
    return std::make_unique<SimulatedConv>(plans.conv(s, e, o));
  }
  std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override { return nullptr; }
  std::shared_ptr<GemmPlan> gemm(const GemmSpec& s) override {
    return std::make_unique<SimulatedGemm>(ops(DeviceType::cpu).gemm(s));
  }
  std::string accept_precision(DType, const Device&) const override { return ""; }
  std::string name(const Device&) const override { return "simulated"; }
};

}  // namespace

bool built_with_cuda() { return false; }
std::string why_no_cuda() { return ""; }
MemoryInUse cuda_memory_in_use(const Device& device) {
  return {simulated_memory().in_use(device.index), std::numeric_limits<std::int64_t>::max() / 2};
}
int cuda_device_count() { return simulated::kDevices; }
Memory& cuda_memory() { return simulated_memory(); }
Streams& cuda_streams() {
  static SimulatedStreams streams;
  return streams;
}
const DeviceJoiner* cuda_joiner() { return nullptr; }  // of one process alone
Ops& cuda_ops() {
  static SimulatedOps ops;
  return ops;
}

void launch_elsewhere(const Stream& s, const std::function<void()>& on_host) {
  Queues::require_current(s.device);
  queues().ask(s, {on_host});
}

}  // namespace darknet
