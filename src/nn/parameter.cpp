#include "nn/parameter.h"

#include "core/index.h"
#include "core/parts.h"
#include "kernels/update.h"

namespace darknet {
namespace {

bool sums_gradient(const Parameter& p) {
  return p.sums_gradient && p.frozen_iterations != kNeverTrained;
}

}  // namespace

Buffer allocate_gradients(const Stream& s, std::span<Parameter* const> parameters,
                          MemoryAccess access) {
  Parts parts;
  std::vector<std::int64_t> offsets;
  for (const Parameter* p : parameters)
    offsets.push_back(sums_gradient(*p) ? parts.take(p->value.bytes()) : 0);
  Buffer all(s.device, parts.total(), access);
  if (parts.total() > 0) memory(s.device.type).zero(s, all.data(), to_size(parts.total()));
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (Parameter& p = *parameters[i]; sums_gradient(p)) {
      p.gradient = p.value.view();
      p.gradient.data = part(all.data(), offsets[i]);
    }
  return all;
}

}  // namespace darknet
