#include "darknet/detector_pool.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "api/errors.h"
#include "core/error.h"
#include "core/threads.h"

namespace darknet {
namespace {

constexpr int kMaxDetectors = 1 << 10;

std::vector<Detector> detectors_of(const std::filesystem::path& cfg,
                                   const std::filesystem::path& weights, int count,
                                   DetectorOptions options) {
  if (count < 1 || count > kMaxDetectors)
    fail("a pool of ", count, " detectors is not from 1 to ", kMaxDetectors);
  if (options.threads == 0)
    options.threads = std::max(1, std::min(core_count(), launch_threads()) / count);
  std::vector<Detector> all;
  all.reserve(static_cast<std::size_t>(count));
  while (std::ssize(all) < count) all.emplace_back(cfg, weights, options);
  return all;
}

}  // namespace

struct DetectorPool::Impl {
  explicit Impl(std::vector<Detector> d) : detectors(std::move(d)) {
    for (Detector& one : detectors) free.push_back(&one);
  }

  // f(a detector that is free), which it is again afterwards.
  template <class F>
  auto with_one(F f) {
    const Lease lease(*this);
    return f(*lease.detector);
  }

  struct Lease {
    explicit Lease(Impl& p) : pool(p) {
      std::unique_lock lock(pool.mutex);
      pool.freed.wait(lock, [this] { return !pool.free.empty(); });
      detector = pool.free.back();
      pool.free.pop_back();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
      {
        const std::lock_guard lock(pool.mutex);
        pool.free.push_back(detector);  // within the capacity that the constructor used
      }
      pool.freed.notify_one();
    }
    Impl& pool;
    Detector* detector = nullptr;
  };

  std::vector<Detector> detectors;
  std::mutex mutex;
  std::condition_variable freed;
  std::vector<Detector*> free;
};

DetectorPool::DetectorPool(const std::filesystem::path& cfg, const std::filesystem::path& weights,
                           int detectors, const DetectorOptions& options)
    : impl_(api::translated([&] {
        return std::make_unique<Impl>(detectors_of(cfg, weights, detectors, options));
      })) {}
DetectorPool::~DetectorPool() = default;

DetectedObjects DetectorPool::detect(const ImageView& image, const std::optional<Thresholds>& t) {
  return impl_->with_one([&](Detector& d) { return d.detect(image, t); });
}

DetectedObjects DetectorPool::detect_file(const std::filesystem::path& file,
                                          const std::optional<Thresholds>& t) {
  return impl_->with_one([&](Detector& d) { return d.detect_file(file, t); });
}

std::vector<DetectedObjects> DetectorPool::detect_batch(const std::vector<ImageView>& images,
                                                        const std::optional<Thresholds>& t) {
  return impl_->with_one([&](Detector& d) { return d.detect_batch(images, t); });
}

std::vector<DetectedObjects> DetectorPool::detect_files(
    const std::vector<std::filesystem::path>& files, const std::optional<Thresholds>& t) {
  return impl_->with_one([&](Detector& d) { return d.detect_files(files, t); });
}

int DetectorPool::size() const { return static_cast<int>(impl_->detectors.size()); }
const Detector& DetectorPool::detector() const { return impl_->detectors.front(); }

}  // namespace darknet
