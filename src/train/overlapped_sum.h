// The sum of the gradients of networks that share a batch, begun while their backward passes still
// go on: layers end from the last to the first, and with them the gradients from the end of their
// array. How buckets of them are summed is what BucketSums does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/ranks.h"
#include "nn/network.h"

namespace darknet {

// The least size of a bucket but the last: large enough that the latency of its sum matters little,
// small enough that most sums are hidden by the rest of the backward pass.
inline constexpr std::int64_t kBucketBytes = 4 << 20;

// Gradients, elements [begin, end) of their array, that are complete once the layer's backward pass
// is done.
struct Bucket {
  std::int64_t begin = 0, end = 0, layer = 0;
  std::int64_t size() const { return end - begin; }
};

// Of at least so many bytes each but the last, from the last layers to the first; all gradients
// together. None where nothing is trained.
std::vector<Bucket> buckets_of(Network&, std::int64_t bytes);

// Sums buckets, each over the networks of this process and what they stand for elsewhere.
class BucketSums {
 public:
  virtual ~BucketSums() = default;
  // The backward pass of the network at this place was asked for down to this bucket's layer.
  virtual void reached(std::size_t /*place*/, std::size_t /*bucket*/) {}
  virtual void begin(std::size_t bucket) = 0;  // which all networks have reached
  virtual void finish() = 0;  // what the networks do next finds the sums that were begun
};

// Of one network on the CPU, whose launches are done when they return, over the ranks.
class RankSums final : public BucketSums {
 public:
  RankSums(Network& net, Ranks& ranks, const SumOptions& options, std::span<const Bucket> buckets)
      : net_(net), ranks_(ranks), options_(options), buckets_(buckets.begin(), buckets.end()) {}
  void begin(std::size_t bucket) override;
  void finish() override;

 private:
  Network& net_;
  Ranks& ranks_;
  SumOptions options_;
  std::vector<Bucket> buckets_;
  std::vector<std::unique_ptr<PendingSum>> pending_;
};

class OverlappedSum {
 public:
  // The buckets are those of `sums`, the same for each network.
  OverlappedSum(const std::vector<Network*>&, Ranks&, std::vector<Bucket>, BucketSums& sums);
  OverlappedSum(const OverlappedSum&) = delete;
  OverlappedSum& operator=(const OverlappedSum&) = delete;
  // Where a pass was begun and not finished: as give_up().
  ~OverlappedSum();

  // Before the backward pass of the network there that completes its gradients. What is not begun
  // is summed by finish() alone.
  void begin(std::size_t place);
  // That pass was asked for down to this layer; by what observes the network.
  void reach(std::size_t place, std::int64_t layer);
  void finish();  // after the passes of all: begins the sums that are left, and finishes all
  void restart() { stop(); }  // forgets what a step that failed has begun
  // A step failed. Other ranks would wait for the sums that this one does not begin, and this one
  // for those that it has begun: says why, and ends the job. Alone it only forgets what was begun.
  void give_up(const std::string& why);
  bool begun() const { return begun_; }

 private:
  class Place final : public LayerObserver {
   public:
    Place(OverlappedSum& sum, Network& net, std::size_t index)
        : sum_(sum), net_(net), index_(index) {}
    void before(std::int64_t, bool) override {}
    void after(std::int64_t layer, bool backward) override {
      if (backward) sum_.reach(index_, layer);
    }
    void observe(bool on) { net_.observe(on ? this : nullptr); }
    std::size_t reached = 0;  // buckets

   private:
    OverlappedSum& sum_;
    Network& net_;
    std::size_t index_;
  };
  void stop();

  Ranks& ranks_;
  std::vector<Bucket> buckets_;
  BucketSums& sums_;
  std::vector<std::unique_ptr<Place>> places_;
  std::size_t started_ = 0;  // buckets
  bool gave_up_ = false;     // where there are several ranks
  bool begun_ = false;
};

}  // namespace darknet
