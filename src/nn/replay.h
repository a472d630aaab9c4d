// Passes of a network that repeat: eager the first time, when layers and libraries may still
// prepare themselves, captured in a CUDA graph the second time where the device has graphs, and
// replayed from then on.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>

#include "nn/layer.h"

namespace darknet {

// Everything of a Pass that a graph holds once it is captured, comparable as one value.
using CapturedPass = std::tuple<Mode, void*, void*, const StepState*, std::uint64_t, std::int64_t,
                                const Truth*, const std::int32_t*, std::int64_t, std::int64_t,
                                void*, DType, Shape, std::int64_t, const float*>;
CapturedPass captured_of(const Pass&);

class GraphCache {
 public:
  // `work` is what the pass does; its addresses must be those of the last call with this `key`.
  // Whether it was replayed, without a call of `work`.
  bool run(const Stream&, const Pass&, std::int64_t key, const std::function<void()>& work);
  void forget();  // addresses have changed

 private:
  struct Entry {
    CapturedPass given;
    bool done_once = false, asked = false;  // for a graph
    std::unique_ptr<CapturedGraph> graph;
  };
  std::map<std::int64_t, Entry> by_key_;
};

}  // namespace darknet
