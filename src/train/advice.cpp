#include "train/advice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "core/index.h"
#include "core/text.h"
#include "eval/predict.h"
#include "train/plan.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxEpochs = 1000, kMinObjects = 10;
constexpr double kMaxImbalance = 500;
constexpr double kGrowth = 100;        // of the loss
constexpr std::int64_t kSettled = 10;  // iterations after which the running average means something

double side(const AnchorShape& a) {
  return std::sqrt(static_cast<double>(a.width) * static_cast<double>(a.height));
}

// "left, right and 3 more".
std::string list_of(const std::vector<std::string>& words) {
  constexpr std::size_t kMax = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMax, words.size()); ++i)
    text += (i == 0 ? "" : ", ") + words[i];
  return words.size() > kMax ? cat(text, " and ", words.size() - kMax, " more") : text;
}

std::int64_t duplicates_in(std::span<const Truth> truths) {
  const auto key = [](const Truth& t) {
    return std::tuple(t.class_id, t.box.x, t.box.y, t.box.w, t.box.h);
  };
  std::vector<decltype(key(Truth{}))> keys;
  for (const Truth& t : truths) keys.push_back(key(t));
  std::sort(keys.begin(), keys.end());
  return keys.end() - std::unique(keys.begin(), keys.end());
}

}  // namespace

std::vector<HeadAnchors> anchors_by_head(const Network& net) {
  std::vector<HeadAnchors> heads;
  const Shape input = net.input_shape();
  for (const HeadAt& at : net.heads()) {
    const double stride =
        static_cast<double>(input.w) / static_cast<double>(net.output_shape(at.layer).w);
    heads.push_back({net.layer(at.layer).title(), stride, at.head->anchor_shapes(input)});
  }
  return heads;
}

std::vector<std::int64_t> count_classes(const GroundTruths& truths, std::int64_t classes) {
  std::vector<std::int64_t> counts(to_size(classes));
  for (const auto image : truths)
    for (const Truth& t : image) ++counts.at(to_size(t.class_id));
  return counts;
}

void advise_length(Findings& to, std::int64_t max_batches, std::int64_t batch,
                   std::int64_t images) {
  if (images == 0) return;
  const double epochs =
      static_cast<double>(max_batches) * static_cast<double>(batch) / static_cast<double>(images);
  if (epochs > kMaxEpochs)
    to.push_back(cat("max_batches=", max_batches, " is ", plural(std::llround(epochs), "epoch"),
                     " of ", plural(images, "image"), ": more than ", kMaxEpochs,
                     " seldom gain anything; -epochs 100 sets another length, with the "
                     "rest of the schedule"));
}

void advise_anchors(Findings& to, std::span<const HeadAnchors> heads) {
  std::vector<HeadAnchors> by_stride(heads.begin(), heads.end());
  std::sort(by_stride.begin(), by_stride.end(),
            [](const HeadAnchors& a, const HeadAnchors& b) { return a.stride < b.stride; });
  std::vector<std::string> wrong;
  for (std::size_t k = 0; k < by_stride.size(); ++k)
    for (const AnchorShape& a : by_stride[k].anchors) {
      const bool small = k > 0 && side(a) < kStridesOfAnAnchor * by_stride[k - 1].stride / 2;
      const bool large =
          k + 1 < by_stride.size() && side(a) > kStridesOfAnAnchor * by_stride[k].stride * 2;
      if (small || large)
        wrong.push_back(cat(std::lround(a.width), "x", std::lround(a.height), " at stride ",
                            by_stride[k].stride, " (", by_stride[k].title, ")"));
    }
  if (!wrong.empty())
    to.push_back(cat("anchors on the wrong stride: ", list_of(wrong),
                     "; small ones belong to the head of the small stride: change mask=, or let "
                     "darknet detector init write it"));
}

void advise_imbalance(Findings& to, const Network& net, const ImbalanceReport& r,
                      std::int64_t loaded_layers) {
  double worst = 0;
  std::string titles;
  for (std::size_t k = 0; k < r.heads.size(); ++k) {
    const HeadImbalance& h = r.heads[k];
    const bool learned = net.layer(h.layer).sources().front() < loaded_layers;
    if (learned || net.heads()[k].head->start().has_prior()) continue;
    if (h.negatives_per_positive() <= kMaxImbalance) continue;
    worst = std::max(worst, h.negatives_per_positive());
    titles += (titles.empty() ? "" : ", ") + net.layer(h.layer).title();
  }
  if (worst > 0)
    to.push_back(
        cat(titles, ": up to ", std::llround(worst),
            " negatives to a positive and no obj_prior: the run spends its beginning on "
            "unlearning false positives; obj_prior=auto (with obj_loss=ce or focal) in the "
            "head starts where that ends"));
}

void advise_small_objects(Findings& to, const ImbalanceReport& r, const Shape& input) {
  const auto small = static_cast<double>(r.small), all = static_cast<double>(r.truths);
  if (r.truths == 0 || small <= kSmallObjectShare * all) return;
  to.push_back(cat(std::llround(100 * small / all), " % of the objects are smaller than ",
                   kMinObjectPixels, " pixels at the network's input of ", input.w, "x", input.h,
                   "; a larger width= and height= (darknet detector init chooses them) show them"));
}

void advise_classes(Findings& to, std::span<const std::string> names,
                    std::span<const std::int64_t> train, std::span<const std::int64_t> valid) {
  if (std::all_of(train.begin(), train.end(), [](std::int64_t n) { return n == 0; })) return;
  std::vector<std::string> rare, untested;
  for (std::size_t c = 0; c < train.size(); ++c) {
    const std::string name = c < names.size() ? shown(names[c]) : cat("class ", c);
    if (train[c] < kMinObjects) rare.push_back(cat(name, " (", train[c], ")"));
    if (c < valid.size() && valid[c] == 0) untested.push_back(name);
  }
  if (!rare.empty())
    to.push_back(cat("classes with fewer than ", kMinObjects, " objects in train=: ", list_of(rare),
                     "; label more of them, or leave the class out"));
  if (!untested.empty())
    to.push_back(cat("classes without any object in valid=: ", list_of(untested),
                     "; their AP cannot be measured: move some images with them there"));
}

void advise_labels(Findings& to, const LabelledImages& labelled, const std::string& list) {
  std::int64_t twice = 0, objects = 0;
  std::string first;
  for (std::size_t i = 0; i < labelled.truths.size(); ++i) {
    const std::int64_t here = duplicates_in(labelled.truths[i]);
    if (here > 0 && twice == 0) first = labelled.images[i].string();
    twice += here;
    objects += static_cast<std::int64_t>(labelled.truths[i].size());
  }
  if (twice > 0)
    to.push_back(cat(list, ": ", plural(twice, "label line"),
                     " found twice in one file (first: that of ", first,
                     "); each counts as one more object: remove the copies"));
  if (objects == 0)
    to.push_back(cat(list, ": no objects at all: the label files of all ", labelled.images.size(),
                     " images are empty; there is nothing to learn from them, and no AP on them"));
}

void advise_crowded(Findings& to, const Network& net, const GroundTruths& truths) {
  std::int64_t max = std::numeric_limits<std::int64_t>::max(), images = 0, left_out = 0;
  for (const HeadAt& at : net.heads()) max = std::min(max, at.head->settings().max_truths);
  for (const auto image : truths) {
    const auto n = std::ssize(image);
    images += n > max;
    left_out += std::max<std::int64_t>(0, n - max);
  }
  if (images > 0)
    to.push_back(cat(plural(images, "image"), " with more than max=", max, " objects: ",
                     plural(left_out, "object"), " left out (raise max= in the heads)"));
}

void advise_overlap(Findings& to, const ListOverlap& o) {
  if (o.all() == 0) return;
  to.push_back(cat(o.all(), " of ", plural(o.images, "image"), " of valid= are in train= too (",
                   o.same_path, " by path, ", o.same_bytes, " by content, ", o.nearly_same,
                   " look alike; first: ", o.first, " and ", o.first_partner,
                   "): accuracy on them says nothing about new images; take them out of one list",
                   o.compared < 1 ? cat(" (only ", std::llround(100 * o.compared),
                                        " % of the pairs were compared by look)")
                                  : ""));
}

void advise_missing_classes(Findings& to, std::span<const std::string> names,
                            std::span<const std::int64_t> train) {
  std::vector<std::string> missing;
  for (std::size_t c = 0; c < train.size(); ++c)
    if (train[c] == 0) missing.push_back(shown(names[c]));
  if (!missing.empty())
    to.push_back(cat("classes without any image in train=: ", list_of(missing),
                     "; add some, or leave the class out"));
}

Findings advise(const AdviceInput& in) {
  Findings to;
  if (in.train->images.empty()) return to;
  const auto classes = std::ssize(in.names);
  advise_labels(to, *in.train, "train=");
  if (in.valid) advise_labels(to, *in.valid, "valid=");
  const auto counted = count_classes(in.train->truths, classes);
  const auto tested =
      in.valid ? count_classes(in.valid->truths, classes) : std::vector<std::int64_t>{};
  advise_classes(to, in.names, counted, tested);
  if (in.valid)
    advise_overlap(to, find_overlap(in.train->images, in.valid->images, in.overlap_seconds));
  if (!in.net) return to;
  const Network& net = *in.net;
  if (std::string conflict = tree_conflict(net, in.names); !conflict.empty())
    to.push_back(std::move(conflict));
  advise_length(to, net.settings().max_batches, net.settings().batch, std::ssize(in.train->images));
  advise_anchors(to, anchors_by_head(net));
  advise_crowded(to, net, in.train->truths);
  const ImbalanceReport report = in.imbalance ? *in.imbalance : imbalance(net, *in.train);
  advise_imbalance(to, net, report, in.loaded_layers);
  advise_small_objects(to, report, net.input_shape());
  return to;
}

std::string DivergenceWatch::look(std::int64_t iteration, double average) {
  ++seen_;
  if (warned_ || seen_ < kSettled) return "";
  if (seen_ == kSettled || average < min_) min_ = average;
  if (!(min_ > 0 && average > kGrowth * min_)) return "";  // of 0 there is no multiple
  warned_ = true;
  return cat("iteration ", iteration, ": the average loss has grown to ", average, ", ",
             std::round(average / min_), " times its smallest so far (", min_,
             "): the run diverges; interrupt it, and try a lower learning_rate, a longer burn_in, "
             "box_gradient=exact in the heads, or clip=");
}

}  // namespace darknet
