// Several Detectors of one network behind one object that any number of threads may use. C++17.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "darknet/detector.h"

namespace darknet {

// Every function may be called from any thread at any time; each call waits for a Detector that is
// free. Each of the Detectors has its own copy of the weights and its own memory. On a CPU one for
// each core, with one thread each, gives the most images a second; on a GPU more than two gain
// nothing, since the Detectors of a GPU take turns.
class DARKNET_EXPORT DetectorPool {
 public:
  // `detectors`: at least 1. Where options.threads is 0 they share the threads evenly. A log
  // callback is called from several threads at once.
  DetectorPool(const std::filesystem::path& cfg, const std::filesystem::path& weights,
               int detectors, const DetectorOptions& = {});
  DetectorPool(const DetectorPool&) = delete;
  DetectorPool& operator=(const DetectorPool&) = delete;
  ~DetectorPool();  // no call may be at work

  // As those of Detector, by one of the pool.
  DetectedObjects detect(const ImageView&, const std::optional<Thresholds>& = {});
  DetectedObjects detect_file(const std::filesystem::path&, const std::optional<Thresholds>& = {});
  std::vector<DetectedObjects> detect_batch(const std::vector<ImageView>&,
                                            const std::optional<Thresholds>& = {});
  std::vector<DetectedObjects> detect_files(const std::vector<std::filesystem::path>&,
                                            const std::optional<Thresholds>& = {});

  int size() const;                  // how many Detectors
  const Detector& detector() const;  // for what does not change: names, classes, sizes

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace darknet
