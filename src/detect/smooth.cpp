#include "detect/smooth.h"

#include <algorithm>

#include "detect/associate.h"

namespace darknet {
namespace {

constexpr float kSameObject = .3f;  // IoU from frame to frame

}  // namespace

// Every object moves one frame on, with what it was seen as or with probability 0 where it was.
void Smoother::assign(std::span<const Detection> found) {
  std::vector<Detection> known;
  known.reserve(objects_.size());
  for (const Object& o : objects_) known.push_back(o.seen.front());
  const auto match = associate(found, known, kSameObject);
  for (Object& o : objects_) {
    o.seen.push_front(o.seen.front());
    o.seen.front().probability = 0;
  }
  for (std::size_t i = 0; i < found.size(); ++i)
    if (match[i] == kUnmatched)
      objects_.push_back({{found[i]}});
    else
      objects_[match[i]].seen.front() = found[i];
  for (Object& o : objects_)
    if (o.seen.size() > frames_) o.seen.pop_back();
  std::erase_if(objects_, [](const Object& o) {
    return std::all_of(o.seen.begin(), o.seen.end(),
                       [](const Detection& d) { return d.probability == 0; });
  });
}

Detection Smoother::mean_of(const Object& o) const {
  Detection mean = o.seen.front();
  Box sum;
  float weight = 0;
  for (const Detection& d : o.seen) {
    sum.x += d.probability * d.box.x, sum.y += d.probability * d.box.y;
    sum.w += d.probability * d.box.w, sum.h += d.probability * d.box.h;
    weight += d.probability;
  }
  mean.box = {sum.x / weight, sum.y / weight, sum.w / weight, sum.h / weight};
  mean.probability = weight / static_cast<float>(std::min(frames_, frames_so_far_));
  return mean;
}

std::vector<Detection> Smoother::next(std::span<const Detection> found, float threshold) {
  if (frames_ <= 1) return {found.begin(), found.end()};
  ++frames_so_far_;
  assign(found);
  std::vector<Detection> out;
  for (const Object& o : objects_)
    if (const Detection mean = mean_of(o); mean.probability >= threshold) out.push_back(mean);
  std::stable_sort(out.begin(), out.end(), [](const Detection& a, const Detection& b) {
    return a.probability > b.probability;
  });
  return out;
}

}  // namespace darknet
