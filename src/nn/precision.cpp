#include "nn/precision.h"

#include "core/log.h"

namespace darknet {

DType accepted_precision(DType asked, const Section& net, const Ops& ops, const Device& device) {
  try {
    const std::string note = ops.accept_precision(asked, device);
    if (!note.empty()) log::warn(cat("precision=", name_of(asked), ": ", note));
  } catch (const Error& e) {
    net.fail("precision", cat(name_of(asked), ": ", e.what()));
  }
  return asked;
}

}  // namespace darknet
