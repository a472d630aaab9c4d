// Passes of a network that repeat: done as they stand the first time, when layers and libraries may
// still prepare themselves, recorded the second time where the device can, and replayed from then
// on.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "nn/layer.h"

namespace darknet {

class ReplayedPasses {
 public:
  // `work` is what the pass does; its addresses must be those of the last call with this `key`.
  void run(const Stream&, const Pass&, std::int64_t key, const std::function<void()>& work);
  void forget();  // addresses have changed

 private:
  struct Entry {
    // What the work is given besides its stream, and a recording would hold.
    const void* truths = nullptr;
    const void* step = nullptr;
    const void* targets = nullptr;
    std::int64_t capacity = 0;
    std::uint64_t seed = 0;
    bool done_once = false;
    std::unique_ptr<Recording> recording;

    bool fits(const Pass&) const;
  };
  std::map<std::int64_t, Entry> by_key_;
};

}  // namespace darknet
