// The sum of a network's gradients over the ranks, begun while its backward pass still goes on:
// layers end from the last to the first, and with them the gradients from the end of their array.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/ranks.h"
#include "nn/network.h"

namespace darknet {

// On the CPU, whose launches are done when they return.
class OverlappedSum final : public LayerObserver {
 public:
  OverlappedSum(Network&, Ranks&, const SumOptions&);
  OverlappedSum(const OverlappedSum&) = delete;
  OverlappedSum& operator=(const OverlappedSum&) = delete;
  // Where a pass was begun and not finished: ends the job, as give_up() does.
  ~OverlappedSum() override;

  void begin();   // before the backward pass that completes the gradients
  void finish();  // after it: waits for all sums; nothing where none was begun
  // The pass failed. The other ranks would wait for the sums that this one does not begin, and this
  // one for those that it has begun: says why, and ends the job.
  void give_up(const std::string& why);
  bool begun() const { return next_ >= 0; }

  void before(std::int64_t, bool) override {}
  void after(std::int64_t layer, bool backward) override;

 private:
  // Gradients that are complete once the layer's backward pass is done.
  struct Bucket {
    std::int64_t begin = 0, end = 0, layer = 0;
  };
  void start_down_to(std::int64_t layer);

  Network& net_;
  Ranks& ranks_;
  SumOptions options_;
  std::vector<Bucket> buckets_;  // from the last layers to the first
  std::ptrdiff_t next_ = -1;     // that is to be started; -1: no pass goes on
  std::vector<std::unique_ptr<PendingSum>> pending_;
};

}  // namespace darknet
