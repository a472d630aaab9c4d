#include "nn/parameter.h"

#include "core/index.h"
#include "core/parts.h"
#include "kernels/update.h"

namespace darknet {
namespace {

bool sums_gradient(const Parameter& p) {
  return p.sums_gradient && p.frozen_iterations != kNeverTrained;
}

std::vector<float> reordered(const Shape& ohwi, const float* from, bool to_file) {
  std::vector<float> result(to_size(ohwi.size()));
  float* to = result.data();
  const std::int64_t area = ohwi.h * ohwi.w;
  for (std::int64_t o = 0; o < ohwi.n; ++o, from += area * ohwi.c, to += area * ohwi.c)
    for (std::int64_t a = 0; a < area; ++a)
      for (std::int64_t i = 0; i < ohwi.c; ++i) {
        const std::int64_t memory = a * ohwi.c + i, file = i * area + a;
        to_file ? to[file] = from[memory] : to[memory] = from[file];
      }
  return result;
}

}  // namespace

std::vector<float> in_file_order(const Shape& ohwi, std::span<const float> memory) {
  return reordered(ohwi, memory.data(), true);
}

std::vector<float> in_memory_order(const Shape& ohwi, std::span<const float> file) {
  return reordered(ohwi, file.data(), false);
}

Buffer allocate_gradients(const Stream& s, std::span<Parameter* const> parameters,
                          MemoryAccess access) {
  Parts parts;
  std::vector<std::int64_t> offsets;
  for (const Parameter* p : parameters)
    offsets.push_back(sums_gradient(*p) ? parts.take(p->value.bytes()) : 0);
  if (parts.total() == 0) return {};  // of inference, or nothing is trained
  Buffer all(s.device, parts.total(), access);
  memory(s.device.type).zero(s, all.data(), to_size(parts.total()));
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (Parameter& p = *parameters[i]; sums_gradient(p)) {
      p.gradient = p.value.view();
      p.gradient.data = part(all.data(), offsets[i]);
    }
  return all;
}

}  // namespace darknet
