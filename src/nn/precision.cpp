#include "nn/precision.h"

#include "core/log.h"
#include "core/ops.h"

namespace darknet {

DType accepted_precision(const NetSettings& settings, const Where& where, DeviceType device) {
  const DType precision = *dtype_by_name(settings.precision);
  try {
    const std::string note = ops(device).accept_precision(precision);
    if (!note.empty()) log::warn(cat("precision=", to_string(precision), ": ", note));
  } catch (const Error& e) {
    fail_at(where, "[net] precision=", to_string(precision), ": ", e.what());
  }
  return precision;
}

}  // namespace darknet
