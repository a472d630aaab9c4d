#include "kernels/class_gradients.h"

#include <algorithm>

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxChunks = 1024, kMaxPartialSums = 1 << 17;

// Anchors, of which each index of a launch takes a chunk, in their order.
struct Chunks {
  std::int64_t count, anchors;  // of a chunk
  Chunks(std::int64_t all, std::int64_t classes)
      : count(std::clamp<std::int64_t>(kMaxPartialSums / classes, 1, kMaxChunks)),
        anchors(std::max<std::int64_t>(1, chunks_of(all, count))) {}
};

DN_HD inline std::int64_t units(float size) {
  if (!(size > 0) || size - size != 0) return 0;  // not finite: its step fails, or try_fix_nan=1
  const double half_up =
      static_cast<double>(math::min(size, kMaxClassGradient)) / kClassGradientUnit + .5;
  return static_cast<std::int64_t>(half_up);  // rounded by the cast
}

struct SumChunk {
  ClassGradientArguments a;
  std::int64_t classes, all, chunk;
  std::int64_t* partial;  // the sums of each chunk
  DN_HD void operator()(std::int64_t c) const {
    const std::int64_t n = class_gradient_count(classes);
    std::int64_t* const sums = partial + n * c;
    for (std::int64_t k = 0; k < n; ++k) sums[k] = 0;
    const std::int64_t begin = c * chunk, end = math::min(begin + chunk, all);
    for (std::int64_t i = begin; i < end; ++i)
      if (a.records[i].class_loss != 0) add(i, sums);
  }
  DN_HD void add(std::int64_t i, std::int64_t* sums) const {
    const std::int64_t first = i % a.layout.anchors * a.layout.entries;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float g = a.gradient.at(i / a.layout.anchors, first + a.layout.class_entry(k));
      sums[class_gradient_place(k, g < 0)] += units(math::abs(g));
    }
  }
};

struct AddChunks {
  const std::int64_t* partial;
  std::int64_t chunks, n;
  std::int64_t* sums;
  DN_HD void operator()(std::int64_t i) const {
    for (std::int64_t c = 0; c < chunks; ++c) sums[i] += partial[c * n + i];
  }
};

struct KeepSums {
  RunningArrays a;
  const StepState* state;
  DN_HD void operator()(std::int64_t i) const {
    if (state->status == StepStatus::update)
      a.values[i] += kClassGradientUnit * static_cast<double>(a.sums[i]);
  }
};

}  // namespace

std::int64_t class_gradient_scratch(std::int64_t anchors, std::int64_t classes) {
  return Chunks(anchors, classes).count * class_gradient_count(classes) *
         std::int64_t{sizeof(std::int64_t)};
}

void add_class_gradients(const Stream& s, const ClassGradientArguments& a, void* scratch) {
  auto* const partial = static_cast<std::int64_t*>(scratch);
  const std::int64_t classes = a.layout.classes();
  const Chunks chunks(a.size(), classes);
  for_each(s, chunks.count, SumChunk{a, classes, a.size(), chunks.anchors, partial});
  const std::int64_t n = class_gradient_count(classes);
  for_each(s, n, AddChunks{partial, chunks.count, n, a.sums});
}

void keep_class_gradients(const Stream& s, const RunningArrays& a, std::int64_t n,
                          const StepState* state) {
  for_each(s, n, KeepSums{a, state});
}

}  // namespace darknet
