#include "eval/loss_values.h"

#include <type_traits>
#include <variant>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "kernels/objectness.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxLogits = std::int64_t{1} << 28;

void require_targets(const LogitLoss& loss, std::span<const float> targets) {
  const bool hard = !traits_of(loss).for_soft_targets.empty();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const float t = targets[i];
    if (!(t >= 0 && t <= 1)) fail("target ", i, " is ", t, "; 0 to 1 are possible");
    if (hard && t != 0 && t != 1)
      fail("target ", i, " is ", t, ", and ", name_of(loss), " is for targets 0 and 1; ",
           traits_of(loss).for_soft_targets, " is for those between");
  }
}

std::vector<AnchorRecord> records_of(std::span<const float> targets,
                                     const std::vector<bool>& positives) {
  std::vector<AnchorRecord> records(targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i)
    records[i] = {.state = positives[i] ? AnchorState::positive : AnchorState::negative,
                  .target = targets[i],
                  .weight = 1};
  return records;
}

// The loss and the gradient of a row are added to.
struct Row {
  std::span<const float> logits;
  std::int64_t own = 0;  // the true class
  float& value;
  std::span<float> gradient;
};

template <class L>
void compute_row(const L& loss, const Row& row) {
  const auto logit = [&](std::int64_t k) { return row.logits[to_size(k)]; };
  const std::int64_t classes = std::ssize(row.logits);
  if constexpr (OfTrueClass<L>) {
    const losses::TrueClass own = losses::true_class_of_softmax(classes, row.own, logit);
    row.value = loss.value(own);
    for (std::int64_t k = 0; k < classes; ++k) {
      const float p = losses::true_class_of_softmax(classes, k, logit).p;
      row.gradient[to_size(k)] = loss.factor(own) * (p - (k == row.own ? 1.f : 0.f));
    }
  } else if constexpr (losses::DiffersByClass<L>) {
    compute_row(loss.of_class(1), row);
  } else {
    for (std::int64_t k = 0; k < classes; ++k) {
      const bool own = k == row.own;
      row.value += loss.value(logit(k), own ? 1.f : 0.f, own);
      row.gradient[to_size(k)] = loss.gradient(logit(k), own ? 1.f : 0.f, own);
    }
  }
}

}  // namespace

ComputedLoss compute_loss(const LogitLoss& loss, std::span<const float> logits,
                          std::span<const float> targets, const std::vector<bool>& positives) {
  const std::int64_t n = std::ssize(logits);
  if (std::ssize(targets) != n || std::ssize(positives) != n)
    fail(plural(n, "logit"), ", but ", plural(std::ssize(targets), "target"), " and ",
         positives.size(), " states of anchors");
  if (n > kMaxLogits) fail(n, " logits; ", kMaxLogits, " are possible");
  require_targets(loss, targets);
  ComputedLoss result{std::vector<float>(logits.size()), std::vector<float>(logits.size())};
  if (n == 0) return result;
  std::vector<AnchorRecord> records = records_of(targets, positives);
  const Shape shape{1, n, 1, 1};
  const ObjectnessArguments arguments{.logits = View<const float>{logits.data(), shape, 1},
                                      .gradient = View<float>{result.gradient.data(), shape, 1},
                                      .records = records.data(),
                                      .layout = {.anchors = 1, .entries = 1, .objectness = 0}};
  std::vector<std::uint64_t> scratch(to_size(objectness_scratch(n) / 8 + 1));
  apply_objectness({}, loss, arguments, scratch.data());
  for (std::size_t i = 0; i < records.size(); ++i) result.value[i] = records[i].objectness_loss;
  return result;
}

ComputedLoss compute_class_loss(const ClassLoss& loss, std::span<const float> logits,
                                std::int64_t classes, std::span<const std::int32_t> true_classes) {
  const std::int64_t rows = std::ssize(true_classes);
  if (classes < 1 || std::ssize(logits) % classes != 0 || std::ssize(logits) / classes != rows)
    fail(plural(std::ssize(logits), "logit"), " of ", plural(classes, "class"), ", but ",
         plural(rows, "true class"));
  ComputedLoss result{std::vector<float>(to_size(rows)), std::vector<float>(logits.size())};
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t own = true_classes[to_size(r)];
    if (own < 0 || own >= classes)
      fail("row ", r, " has the true class ", own, "; ", plural(classes, "class"),
           " are counted from 0");
    const auto first = to_size(r * classes), count = to_size(classes);
    const Row row{logits.subspan(first, count), own, result.value[to_size(r)],
                  std::span(result.gradient).subspan(first, count)};
    std::visit([&](const auto& l) { compute_row(l, row); }, loss);
  }
  return result;
}

}  // namespace darknet
