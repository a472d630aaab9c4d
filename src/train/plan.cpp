#include "train/plan.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::int64_t kMultiple = 32;  // the coarsest stride of the shipped networks
constexpr double kMaxAspect = 4;
constexpr std::int64_t kMinBatch = 16;

double side(const AnchorShape& a) {
  return std::sqrt(static_cast<double>(a.width) * static_cast<double>(a.height));
}

std::int64_t multiple(double pixels, double (*round)(double)) {
  const auto n = static_cast<std::int64_t>(round(pixels / kMultiple));
  return std::max<std::int64_t>(1, n) * kMultiple;
}

InputPlan input_of(double pixels, double aspect, double (*round)(double)) {
  return {.width = multiple(std::sqrt(pixels * aspect), round),
          .height = multiple(std::sqrt(pixels / aspect), round)};
}

std::int64_t area(const InputPlan& p) { return p.width * p.height; }

// Lower-case words of a name: letters, cut where a small letter is followed by a capital.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  bool small_before = false;
  for (const char raw : name) {
    const auto c = static_cast<unsigned char>(raw);
    if (!std::isalpha(c) || (small_before && std::isupper(c))) words.emplace_back();
    if (std::isalpha(c)) words.back() += static_cast<char>(std::tolower(c));
    small_before = std::islower(c) != 0;
  }
  return words;
}

}  // namespace

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const auto at = to_size(std::max(1., rank)) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

InputPlan plan_input(const InputQuestion& q) {
  const double aspect = std::clamp(q.aspect, 1 / kMaxAspect, kMaxAspect);
  const double side_needed = q.smallest > 0 ? kMinObjectPixels / q.smallest : 0;
  const auto usual = static_cast<double>(q.usual_pixels);
  const auto max = static_cast<double>(q.max_pixels);
  InputPlan plan = input_of(std::min(usual, max), aspect, std::round);
  if (static_cast<double>(area(plan)) < side_needed * side_needed) {
    plan = input_of(std::min(side_needed * side_needed, max), aspect, std::ceil);
    plan.raised = true;
  }
  if (area(plan) > q.max_pixels) {
    plan = input_of(max, aspect, std::floor);
    plan.raised = area(plan) > q.usual_pixels;
  }
  plan.smallest = q.smallest * std::sqrt(static_cast<double>(area(plan)));
  plan.limited = q.smallest > 0 && plan.smallest < kMinObjectPixels;
  return plan;
}

std::vector<std::vector<std::int64_t>> split_anchors(std::span<const AnchorShape> by_area,
                                                     std::span<const std::int64_t> strides) {
  const auto anchors = std::ssize(by_area);
  const auto heads = std::ssize(strides);
  if (anchors < heads) fail("too few anchors: ", anchors, " for ", plural(heads, "head"));
  std::vector<std::vector<std::int64_t>> split(strides.size());
  std::int64_t next = 0;
  for (std::int64_t h = 0; h < heads; ++h) {
    const auto k = to_size(h);
    const double limit = kStridesOfAnAnchor * static_cast<double>(strides[k]);
    const std::int64_t left_for_others = heads - 1 - h;
    const auto takes = [&] {
      return split[k].empty() || h == heads - 1 || side(by_area[to_size(next)]) < limit;
    };
    while (next < anchors - left_for_others && takes()) split[k].push_back(next++);
  }
  return split;
}

bool names_hold_sides(std::span<const std::string> names) {
  for (const std::string& name : names)
    for (const std::string& word : words_of(name))
      if (word == "left" || word == "right") return true;
  return false;
}

std::int64_t plan_subdivisions(std::int64_t batch, double fixed, double per_image, double budget) {
  for (std::int64_t parts = 1; parts < batch; ++parts) {
    const double images = static_cast<double>(batch) / static_cast<double>(parts);
    if (batch % parts == 0 && fixed + per_image * images <= budget) return parts;
  }
  return batch;
}

std::int64_t usual_iterations(std::int64_t images, std::int64_t batch) {
  const double epoch = static_cast<double>(images) / static_cast<double>(batch);
  double n = 100 * epoch;
  if (n < 1500) n = std::min(1500., 300 * epoch);
  if (n > 20000) n = std::max(20000., 10 * epoch);
  return std::max<std::int64_t>(1, std::llround(n));
}

std::int64_t plan_batch(std::int64_t usual, double images_in_all) {
  std::int64_t batch = usual;
  while (batch > kMinBatch && batch % 2 == 0 && images_in_all / static_cast<double>(batch) < 4000)
    batch /= 2;
  return batch;
}

double rate_for_batch(double usual_rate, std::int64_t usual_batch, std::int64_t batch) {
  return usual_rate * std::sqrt(static_cast<double>(batch) / static_cast<double>(usual_batch));
}

}  // namespace darknet
