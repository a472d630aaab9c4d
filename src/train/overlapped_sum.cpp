#include "train/overlapped_sum.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"

namespace darknet {

std::vector<Bucket> buckets_of(Network& net, std::int64_t bytes) {
  const std::int64_t least = bytes / std::int64_t{sizeof(float)};
  const TensorView all = net.gradients();
  const float* const first = all.as<>().data;
  std::int64_t end = all.shape.size(), lowest = 0;
  std::vector<Bucket> buckets;
  for (std::int64_t i = net.size() - 1; i >= 0; --i) {
    std::int64_t begin = end;
    for (const Parameter* p : net.layer(i).parameters())
      if (p->gradient)
        begin = std::min<std::int64_t>(begin, static_cast<const float*>(p->gradient.data) - first);
    if (begin == end) continue;
    lowest = i;
    if (end - begin < least) continue;
    buckets.push_back({begin, end, i});
    end = begin;
  }
  if (end > 0) buckets.push_back({0, end, lowest});
  return buckets;
}

void RankSums::begin(std::size_t bucket) {
  const Bucket& b = buckets_[bucket];
  float* const gradients = net_.gradients().as<>().data;
  pending_.push_back(ranks_.begin_sum({gradients + b.begin, to_size(b.size())}, options_));
}

void RankSums::finish() {
  for (const auto& sum : pending_) sum->wait();
  pending_.clear();
}

OverlappedSum::OverlappedSum(const std::vector<Network*>& nets, Ranks& ranks,
                             std::vector<Bucket> buckets, BucketSums& sums)
    : ranks_(ranks), buckets_(std::move(buckets)), sums_(sums) {
  for (Network* const net : nets)
    places_.push_back(std::make_unique<Place>(*this, *net, places_.size()));
}

void OverlappedSum::begin(std::size_t place) {
  if (buckets_.empty()) return;  // nothing is trained
  places_[place]->observe(true);
  begun_ = true;
}

void OverlappedSum::reach(std::size_t place, std::int64_t layer) {
  std::size_t& reached = places_[place]->reached;
  for (; reached < buckets_.size() && buckets_[reached].layer >= layer; ++reached)
    sums_.reached(place, reached);
  std::size_t all = buckets_.size();
  for (const auto& p : places_) all = std::min(all, p->reached);
  for (; started_ < all; ++started_) sums_.begin(started_);
}

void OverlappedSum::finish() try {
  for (std::size_t place = 0; place < places_.size(); ++place) reach(place, 0);
  sums_.finish();
  stop();
} catch (const std::exception& e) {
  give_up(e.what());
  throw;
}

void OverlappedSum::stop() {
  for (const auto& place : places_) {
    if (begun_) place->observe(false);  // else it may be another's
    place->reached = 0;
  }
  started_ = 0;
  begun_ = false;
}

void OverlappedSum::give_up(const std::string& why) {
  stop();
  if (!ranks_.several() || std::exchange(gave_up_, true)) return;
  log::error(cat(why, "; the job ends, since its ranks are in the middle of a step"));
  ranks_.abort(1);
}

OverlappedSum::~OverlappedSum() {
  if (begun()) give_up("a step of training was not finished");
}

}  // namespace darknet
