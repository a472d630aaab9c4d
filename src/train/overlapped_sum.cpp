#include "train/overlapped_sum.h"

#include <algorithm>
#include <exception>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"

namespace darknet {
namespace {

// A sum of this size is worth its latency, and the last one, which nothing hides, is short.
constexpr std::int64_t kBucket = (4 << 20) / sizeof(float);

}  // namespace

OverlappedSum::OverlappedSum(Network& net, Ranks& ranks, const SumOptions& options)
    : net_(net), ranks_(ranks), options_(options) {
  const TensorView all = net.gradients();
  const float* const first = all.as<>().data;
  std::int64_t end = all.shape.size();
  for (std::int64_t i = net.size() - 1; i >= 0; --i) {
    std::int64_t begin = end;
    for (const Parameter* p : net.layer(i).parameters())
      if (p->gradient)
        begin = std::min<std::int64_t>(begin, static_cast<const float*>(p->gradient.data) - first);
    if (end - begin < kBucket) continue;
    buckets_.push_back({begin, end, i});
    end = begin;
  }
  if (end > 0) buckets_.push_back({0, end, 0});
}

void OverlappedSum::begin() {
  if (buckets_.empty()) return;  // nothing is trained
  net_.observe(this);
  next_ = 0;
}

void OverlappedSum::start_down_to(std::int64_t layer) {
  float* const gradients = net_.gradients().as<>().data;
  for (; next_ < std::ssize(buckets_) && buckets_[to_size(next_)].layer >= layer; ++next_) {
    const Bucket& b = buckets_[to_size(next_)];
    pending_.push_back(ranks_.begin_sum({gradients + b.begin, to_size(b.end - b.begin)}, options_));
  }
}

void OverlappedSum::after(std::int64_t layer, bool backward) {
  if (backward) start_down_to(layer);
}

void OverlappedSum::finish() try {
  net_.observe(nullptr);
  start_down_to(0);
  for (const auto& sum : pending_) sum->wait();
  pending_.clear();
  next_ = -1;
} catch (const std::exception& e) {
  give_up(e.what());
  throw;
}

void OverlappedSum::give_up(const std::string& why) {
  next_ = -1;
  log::error(cat(why, "; the job ends, since its ranks are in the middle of a step"));
  ranks_.abort(1);
}

OverlappedSum::~OverlappedSum() {
  if (begun()) give_up("a step of training was not finished");
}

}  // namespace darknet
