#include "nn/precision.h"

#include "core/log.h"

namespace darknet {

DType accepted_precision(const NetSettings& settings, const Where& where, const Ops& ops,
                         const Device& device) {
  const DType precision = settings.precision;
  try {
    const std::string note = ops.accept_precision(precision, device);
    if (!note.empty()) log::warn(cat("precision=", name_of(precision), ": ", note));
  } catch (const Error& e) {
    fail_at(where, "[net] precision=", name_of(precision), ": ", e.what());
  }
  return precision;
}

}  // namespace darknet
