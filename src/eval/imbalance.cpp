#include "eval/imbalance.h"

#include <algorithm>

#include "dataset/input_truths.h"

namespace darknet {
namespace {

constexpr float kPoorFit = .5f, kNoFit = .25f;
constexpr float kTiny = 2;  // pixels

std::vector<AnchorUse> anchors_of(const Network& net) {
  const Shape input = net.input_shape();
  std::vector<AnchorUse> all;
  for (const HeadAt& at : net.heads())
    for (const AnchorShape& a : at.head->anchor_shapes(input)) {
      const auto same = [&](const AnchorUse& u) {
        return u.width == a.width && u.height == a.height;
      };
      if (std::none_of(all.begin(), all.end(), same)) all.push_back({a.width, a.height});
    }
  return all;
}

void add_truth(const Truth& t, const Shape& input, ImbalanceReport& r) {
  const float w = t.box.w * static_cast<float>(input.w), h = t.box.h * static_cast<float>(input.h);
  ++r.truths;
  r.tiny += w < kTiny || h < kTiny;
  r.small += w * h < kSmallPixels * kSmallPixels;
  if (r.anchors.empty()) return;
  float best = 0;
  AnchorUse* fitting = nullptr;
  for (AnchorUse& a : r.anchors)
    if (const float fit = shape_iou(w, h, a.width, a.height); fit > best) best = fit, fitting = &a;
  if (fitting) ++fitting->truths;
  r.fit_poorly += best < kPoorFit;
  r.fit_none += best < kNoFit;
  r.mean_fit += static_cast<double>(best);
}

}  // namespace

double HeadImbalance::negatives_per_positive() const {
  return positives > 0
             ? static_cast<double>(candidates - positives) / static_cast<double>(positives)
             : 0;
}

float shape_iou(float w1, float h1, float w2, float h2) {
  const float shared = std::min(w1, w2) * std::min(h1, h2);
  const float whole = w1 * h1 + w2 * h2 - shared;
  return whole > 0 ? shared / whole : 0;
}

ImbalanceReport imbalance(const Network& net, const GroundTruths& truths) {
  const Shape input = net.input_shape();
  ImbalanceReport r{.images = std::ssize(truths)};
  r.anchors = anchors_of(net);
  for (const HeadAt& at : net.heads()) r.heads.push_back({.layer = at.layer});
  for (const auto image : truths) {
    std::int64_t positives = 0;
    for (std::size_t h = 0; h < r.heads.size(); ++h) {
      const Head& head = *net.heads()[h].head;
      const std::int64_t here = head.positives(image, input);
      r.heads[h].candidates += head.candidates(input);
      r.heads[h].positives += here, positives += here;
    }
    r.without_an_anchor += std::max<std::int64_t>(0, std::ssize(image) - positives);
    for (const Truth& t : image) add_truth(t, input, r);
  }
  if (r.truths > 0) r.mean_fit /= static_cast<double>(r.truths);
  return r;
}

ImbalanceReport imbalance(const Network& net, const LabelledImages& labelled) {
  const Shape input = net.input_shape();
  return imbalance(net, truths_at_input(labelled, {input.w, input.h, net.settings().letter_box}));
}

}  // namespace darknet
