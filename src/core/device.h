// Which processor holds a buffer or runs a launch, as plain values. Not a handle: nothing is opened
// by naming a device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>

namespace darknet {

enum class DeviceType : std::uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool checked = false;  // tests: buffers get guard bytes on both sides and are filled with NaN
  friend bool operator==(const Device&, const Device&) = default;
};

std::string to_string(const Device&);  // "cpu", "cuda:0"
// "cpu", "cuda" or "cuda:1"; throws on another word.
Device device_of(const std::string& name);

// The order in which a launch visits its elements. `scattered` is serial, bit-reversed and
// downwards: a launch whose result depends on the order would be a race on a GPU, and tests find it
// that way.
enum class Order : std::uint8_t { parallel, scattered };

// Where and how launches run. Plain data, passed by reference down the whole call chain.
struct Stream {
  Device device;
  Order order = Order::parallel;
  int threads = 0;  // CPU: most threads a launch may use; 0 = all, 1 = serial (loader threads)
  void* native = nullptr;  // CUDA: the cudaStream_t
};

// What a device type offers apart from launches: memory and copies. One instance per type lives in
// cpu/ and cuda/.
class Memory {
 public:
  virtual ~Memory() = default;
  // Bytes in all, used or not.
  virtual std::int64_t capacity(const Device&) { return std::numeric_limits<std::int64_t>::max(); }
  // Aligned as its libraries ask: on the CPU to 64 bytes, on a GPU to 256.
  virtual void* allocate(const Device&, std::size_t bytes) = 0;
  virtual void release(const Device&, void*, std::size_t bytes) noexcept = 0;
  // The same where other devices of the type may read and write it.
  virtual void* allocate_for_peers(const Device& d, std::size_t bytes) {
    return allocate(d, bytes);
  }
  virtual void release_for_peers(const Device& d, void* p, std::size_t bytes) noexcept {
    release(d, p, bytes);
  }
  virtual void copy_in(const Stream&, void* to, const void* from_host, std::size_t bytes) = 0;
  virtual void copy_out(const Stream&, void* to_host, const void* from, std::size_t bytes) = 0;
  virtual void copy(const Stream&, void* to, const void* from, std::size_t bytes) = 0;
  // Pinned host memory, 64-byte aligned: send() and fetch() between it and the device return at
  // once. Until the stream has done the copy (record an Event), both ends must stay unchanged.
  virtual void* allocate_pinned(std::size_t bytes);  // of the CPU: ordinary memory
  virtual void release_pinned(void*) noexcept;
  virtual void send(const Stream& s, void* to, const void* from_host, std::size_t bytes) {
    copy_in(s, to, from_host, bytes);
  }
  virtual void fetch(const Stream& s, void* to_host, const void* from, std::size_t bytes) {
    copy_out(s, to_host, from, bytes);
  }
  // From another device of this type to the stream's.
  virtual void copy_from(const Stream& s, void* to, const Device& /*there*/, const void* from,
                         std::size_t bytes) {
    copy(s, to, from, bytes);
  }
  virtual void zero(const Stream&, void* at, std::size_t bytes) = 0;
  virtual void synchronize(const Stream&) = 0;
};

// Captured work of a stream that can be launched again at less cost: a CUDA graph. The addresses it
// was captured with must stay valid; the values behind them may change.
class CapturedGraph {
 public:
  virtual ~CapturedGraph() = default;
  virtual void replay(const Stream&) = 0;
};

// A point in the order of a stream, reached when all work before it is done. Belongs to the device
// it was made for. One that was never recorded counts as reached.
class Event {
 public:
  virtual ~Event() = default;
  virtual void record(const Stream&) = 0;
  virtual void make_wait(const Stream&) = 0;  // later work of that stream waits for it
  virtual void wait() = 0;                    // the calling thread waits for it
  // Both were recorded and have passed; `earlier` is of the same device.
  virtual double seconds_since(const Event& earlier) const = 0;
};

// Sums arrays of several devices of one type, element by element; each gets the sum in place of its
// own.
class AllReduceLibrary {
 public:
  virtual ~AllReduceLibrary() = default;
  // One stream and one array of n elements for each device, in the order they were given; the
  // arrays lie in memory that peers reach.
  virtual void run(std::span<const Stream> streams, std::span<float* const> arrays,
                   std::int64_t n) = 0;
};

// Queues of work of a device type. The CPU works at once and has none; these defaults are for it.
class Streams {
 public:
  virtual ~Streams() = default;
  // Makes the device that of the calling thread. To be called before launches from a thread that
  // may have worked with another device. One thread at a time works with a device.
  virtual void use(const Device&) {}
  virtual void* open(const Device&) { return nullptr; }
  virtual void close(const Device&, void* /*native*/) noexcept {}
  virtual std::unique_ptr<Event> event(const Device&);
  // Null where the device type has no library for it.
  virtual std::unique_ptr<AllReduceLibrary> all_reduce(std::span<const Device>) { return nullptr; }
  // Records what `work` asks of the stream instead of doing it. `work` must not allocate, copy from
  // or to the host, or wait. Null where the device has no graphs, or refuses this one: then none of
  // the work was done, also where `work` was called.
  virtual std::unique_ptr<CapturedGraph> record(const Stream&,
                                                const std::function<void()>& /*work*/) {
    return nullptr;
  }
};

class Ops;  // core/ops.h

Memory& memory(DeviceType);  // throws Error where the build or the machine lacks the device
Streams& streams(DeviceType);
Ops& ops(DeviceType);
int device_count(DeviceType);  // 1 for cpu; 0 for cuda without build, driver or card
bool built_with_cuda();
// Why there is no CUDA device, for messages; "" where there is one.
std::string why_no_cuda();

// Runs a launch that the host compiler compiled for a device other than the CPU. The program has no
// such device, so this throws; tests install a simulated one.
void launch_elsewhere(const Stream&, const std::function<void()>& on_host);

// A stream with a queue of its own; move-only.
class OwnedStream {
 public:
  OwnedStream() = default;
  explicit OwnedStream(Stream);  // opens the queue: `native` is filled in
  OwnedStream(OwnedStream&&) noexcept;
  OwnedStream& operator=(OwnedStream&&) noexcept;
  ~OwnedStream();
  const Stream& get() const { return stream_; }

 private:
  void close() noexcept;
  Stream stream_;
};

}  // namespace darknet
