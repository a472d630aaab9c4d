#include "kernels/label_rejection.h"

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {
namespace {

// Indices into the values and sums of RunningArrays.
constexpr int kLargest = 0, kMean = 1, kDeviation = 2, kLimit = 3;
constexpr int kMicroBatches = 0, kLargestSum = 1, kMeanSum = 2, kDeviationSum = 3;
constexpr int kSharing = 4;  // micro-batches in which badlabels_rejection_percentage was active,
constexpr int kBeyond = 5;   // and those of them with more than its share beyond the limit

constexpr double kFigureUnit = 0x1p-24, kMaxFigure = 0x1p16;
constexpr double kFigureKeep = .99, kLimitStep = .01;  // AlexeyAB
constexpr double kLowerFactor = 1.4;                   // AlexeyAB

DN_HD inline std::int64_t figure_units(double x) {
  return static_cast<std::int64_t>(math::floor(math::min(x, kMaxFigure) / kFigureUnit + .5));
}

// What is known of the present iteration.
struct RejectionNow {
  RejectionArguments a;

  DN_HD std::int64_t last_quarter_begins() const { return a.max_batches * 3 / 4; }
  DN_HD bool late() const { return a.step->iteration > last_quarter_begins(); }
  DN_HD bool by_share() const { return a.keys.badlabels_rejection_percentage > 0 && late(); }
  DN_HD bool by_deviation() const { return a.keys.num_sigmas_reject_badlabels > 0 && late(); }
  DN_HD bool from_below() const {
    return a.keys.equidistant_point > 0 && a.step->iteration > a.keys.equidistant_point;
  }
  DN_HD bool active() const { return by_share() || by_deviation() || from_below(); }

  struct Limits {
    double lower = 0, upper = 1e300;  // of |gradient|
  };
  DN_HD Limits limits() const {
    const double* const v = a.running.values;
    Limits l;
    if (!(v[kLargest] > 0)) return l;  // nothing is known yet
    const auto now = static_cast<double>(a.step->iteration);
    const auto point = static_cast<double>(a.keys.equidistant_point);
    const auto start = static_cast<double>(last_quarter_begins());
    double centre = kLowerFactor * v[kMean];
    if (by_deviation()) {
      const double last = v[kMean] + v[kDeviation] * a.keys.num_sigmas_reject_badlabels;
      const double progress = start > 0 ? (now - start) / start : 1;
      l.upper = math::max(last, v[kLargest] - progress * math::abs(v[kLargest] - last));
      centre = math::min(last, v[kMean]);
    }
    if (by_share() && v[kLimit] > 0) l.upper = math::min(l.upper, v[kLimit]);
    if (from_below()) {
      const double rest = static_cast<double>(a.max_batches) - point;
      l.lower = centre * (rest > 0 ? math::min((now - point) / rest, 1.) : 1);
    }
    return l;
  }
};

struct GradientFigures {
  double largest = 0, sum = 0, squares = 0;
  std::int64_t count = 0, beyond = 0;
  DN_HD GradientFigures& operator+=(const GradientFigures& o) {
    largest = math::max(largest, o.largest);
    sum += o.sum, squares += o.squares, count += o.count, beyond += o.beyond;
    return *this;
  }
};

struct FiguresOfElement {
  RejectionNow now;
  DN_HD GradientFigures operator()(std::int64_t i) const {
    GradientFigures f;
    const double g = now.a.gradient.data[i], size = math::abs(g);
    const bool finite = size - size == 0;
    if (size == 0 || !finite || !now.active()) return f;
    const double* const v = now.a.running.values;
    const double off = -g - v[kMean];  // AlexeyAB's delta is the negative gradient
    f.largest = size, f.sum = size, f.squares = off * off, f.count = 1;
    f.beyond = now.by_share() && v[kLimit] > 0 && size > v[kLimit] ? 1 : 0;
    return f;
  }
};

struct AddFigures {
  RejectionNow now;
  const GradientFigures* figures;
  DN_HD void operator()(std::int64_t) const {
    if (figures->count == 0) return;
    std::int64_t* const sums = now.a.running.sums;
    const auto count = static_cast<double>(figures->count);
    ++sums[kMicroBatches];
    sums[kLargestSum] += figure_units(figures->largest);
    sums[kMeanSum] += figure_units(figures->sum / count);
    sums[kDeviationSum] += figure_units(math::sqrt(figures->squares / count));
    if (!now.by_share()) return;
    ++sums[kSharing];
    const double anchors = static_cast<double>(figures->beyond * now.a.entries);
    if (100 * anchors / count > now.a.keys.badlabels_rejection_percentage) ++sums[kBeyond];
  }
};

struct Reject {
  RejectionNow now;
  DN_HD void operator()(std::int64_t i) const {
    if (!now.active()) return;
    const RejectionNow::Limits l = now.limits();
    float& g = now.a.gradient.data[i];
    const double size = math::abs(g);
    // One that is not finite stays: it makes the step fail, or try_fix_nan takes care of it.
    if (size - size == 0 && (size > l.upper || size < l.lower)) g = 0;
  }
};

struct KeepFigures {
  RunningArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (state->status != StepStatus::update || a.sums[kMicroBatches] == 0) return;
    const auto m = static_cast<double>(a.sums[kMicroBatches]);
    const double keep = math::pow(kFigureKeep, m);
    const bool first = a.values[kLargest] == 0;
    for (int k = 0; k < 3; ++k) {
      const double mean = kFigureUnit * static_cast<double>(a.sums[kLargestSum + k]) / m;
      a.values[k] = first ? mean : keep * a.values[k] + (1 - keep) * mean;
    }
    if (a.sums[kSharing] == 0) return;
    const auto moves = static_cast<double>(2 * a.sums[kBeyond] - a.sums[kSharing]);
    const bool known = a.values[kLimit] > 0;
    a.values[kLimit] =
        known ? math::max(kLimitStep, a.values[kLimit] + kLimitStep * moves) : a.values[kLargest];
  }
};

}  // namespace

std::int64_t rejection_scratch(std::int64_t elements) {
  return reduce_scratch<GradientFigures>(elements) + std::int64_t{sizeof(GradientFigures)};
}

void reject_gradients(const Stream& s, const RejectionArguments& a, void* scratch) {
  auto* const figures = static_cast<GradientFigures*>(scratch);
  const RejectionNow now{a};
  reduce(s, a.gradient.shape.size(), FiguresOfElement{now}, figures, figures + 1);
  for_each(s, 1, AddFigures{now, figures});
  for_each(s, a.gradient.shape.size(), Reject{now});
}

void keep_rejection(const Stream& s, const RunningArrays& a, const StepState* state) {
  for_each(s, 1, KeepFigures{a, state});
}

}  // namespace darknet
