// Two CUDA devices that are simulated, in place of cuda/absent.cpp: device memory that the host
// cannot touch outside of launches and copies (it is protected), streams that can record, and the
// CPU's plans behind them. What runs here neither reads device memory from the host nor bakes into
// a recording what changes from step to step. It says nothing about nvcc or a card.
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/ops.h"

namespace darknet {
namespace {

constexpr std::size_t kRegion = std::size_t{4} << 30;  // of addresses; pages come when touched
constexpr std::size_t kPage = 4096;

thread_local std::vector<std::function<void()>>* recording = nullptr;

void must_not_record(const char* what) {
  if (recording) fail("simulated device: ", what, " while recording");
}

class SimulatedMemory final : public Memory {
 public:
  SimulatedMemory()
      : base_(static_cast<char*>(::mmap(nullptr, kRegion, PROT_NONE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (base_ == MAP_FAILED) fail("simulated device: no addresses");
  }
  void* allocate(const Device&, std::size_t bytes) override {
    must_not_record("an allocation");
    const std::size_t size = (bytes + kPage) / kPage * kPage;
    for (auto it = free_.begin(); it != free_.end(); ++it)
      if (it->second == size) {
        char* const found = base_ + it->first;
        free_.erase(it);
        return found;
      }
    if (top_ + size > kRegion) fail("simulated device: out of memory");
    top_ += size;
    return base_ + top_ - size;
  }
  void release(const Device&, void* p, std::size_t bytes) noexcept override {
    free_.emplace(static_cast<char*>(p) - base_, (bytes + kPage) / kPage * kPage);
  }
  void copy_in(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    must_not_record("a copy from the host");
    copy(s, to, from, bytes);
  }
  void copy_out(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    must_not_record("a copy to the host");
    copy(s, to, from, bytes);
  }
  void copy(const Stream& s, void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) launch_elsewhere(s, [=] { std::memmove(to, from, bytes); });
  }
  void zero(const Stream& s, void* at, std::size_t bytes) override {
    if (bytes > 0) launch_elsewhere(s, [=] { std::memset(at, 0, bytes); });
  }
  void synchronize(const Stream&) override { must_not_record("a wait"); }

  void protect(int protection) const {
    if (top_ > 0 && ::mprotect(base_, top_, protection) != 0) fail("simulated device: mprotect");
  }

 private:
  char* base_;
  std::size_t top_ = 0;
  std::map<std::size_t, std::size_t> free_;  // offset, size
};

SimulatedMemory& simulated_memory() {
  static SimulatedMemory memory;
  return memory;
}

class SimulatedRecording final : public Recording {
 public:
  explicit SimulatedRecording(std::vector<std::function<void()>> work) : work_(std::move(work)) {}
  void replay(const Stream& s) override {
    for (const auto& w : work_) launch_elsewhere(s, w);
  }

 private:
  std::vector<std::function<void()>> work_;
};

class SimulatedStreams final : public Streams {
 public:
  void* open(const Device&) override { return this; }
  std::unique_ptr<Recording> record(const Stream&, const std::function<void()>& work) override {
    std::vector<std::function<void()>> asked;
    recording = &asked;
    try {
      work();
    } catch (...) {
      recording = nullptr;
      throw;
    }
    recording = nullptr;
    return std::make_unique<SimulatedRecording>(std::move(asked));
  }
};

class SimulatedConv final : public ConvPlan {
 public:
  explicit SimulatedConv(std::unique_ptr<ConvPlan> plan) : plan_(std::move(plan)) {}
  Epilogue fused() const override { return plan_->fused(); }
  std::int64_t workspace() const override { return plan_->workspace(); }
  std::string description() const override { return plan_->description(); }
  std::string algorithm(ConvDirection d) const override { return plan_->algorithm(d); }
  std::vector<std::string> algorithms(ConvDirection d) const override {
    return plan_->algorithms(d);
  }
  void set_weights(const Stream& s, const float* weights, void* w) override {
    launch_elsewhere(s, [=, this] { plan_->set_weights({}, weights, w); });
  }
  void forward(const Stream& s, TensorView in, const float* bias, TensorView out,
               void* w) override {
    launch_elsewhere(s, [=, this] { plan_->forward({}, in, bias, out, w); });
  }
  void backward_data(const Stream& s, TensorView out, TensorView in, bool add, void* w) override {
    launch_elsewhere(s, [=, this] { plan_->backward_data({}, out, in, add, w); });
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out, float* weights,
                        void* w) override {
    launch_elsewhere(s, [=, this] { plan_->backward_weights({}, in, out, weights, w); });
  }

 private:
  std::unique_ptr<ConvPlan> plan_;
};

class SimulatedGemm final : public GemmPlan {
 public:
  explicit SimulatedGemm(std::unique_ptr<GemmPlan> plan) : plan_(std::move(plan)) {}
  std::int64_t workspace() const override { return plan_->workspace(); }
  void run(const Stream& s, const float* a, const float* b, float* c, void* w) override {
    launch_elsewhere(s, [=, this] { plan_->run({}, a, b, c, w); });
  }

 private:
  std::unique_ptr<GemmPlan> plan_;
};

class SimulatedOps final : public Ops {
 public:
  std::unique_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue& e,
                                 const PlanOptions& o) override {
    return std::make_unique<SimulatedConv>(ops(DeviceType::cpu).conv(s, e, o));
  }
  std::unique_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override { return nullptr; }
  std::unique_ptr<GemmPlan> gemm(const GemmSpec& s) override {
    return std::make_unique<SimulatedGemm>(ops(DeviceType::cpu).gemm(s));
  }
  std::string name() const override { return "simulated"; }
};

}  // namespace

bool built_with_cuda() { return false; }
std::string why_no_cuda() { return ""; }
int cuda_device_count() { return 2; }
Memory& cuda_memory() { return simulated_memory(); }
Streams& cuda_streams() {
  static SimulatedStreams streams;
  return streams;
}
Ops& cuda_ops() {
  static SimulatedOps ops;
  return ops;
}

void launch_elsewhere(const Stream&, const std::function<void()>& on_host) {
  if (recording) return recording->push_back(on_host);
  simulated_memory().protect(PROT_READ | PROT_WRITE);
  on_host();
  simulated_memory().protect(PROT_NONE);
}

}  // namespace darknet
