#include "onnx/files.h"

#include "core/error.h"
#include "core/file.h"
#include "onnx/protobuf/messages.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxOnnxBytes = std::uint64_t{2} << 30;  // protobuf's limit

const OnnxMessages& messages() {
#if defined(DARKNET_ONNX)
  return functions_of<OnnxMessages>();
#else
  fail(
      "this program was built without protobuf: install protobuf-compiler, libprotobuf-dev and "
      "libonnx-dev (make deps does), and build again");
#endif
}

}  // namespace

void require_onnx() { static_cast<void>(messages()); }

std::string onnx_bytes(const OnnxModel& model) { return messages().write(model); }

OnnxModel read_onnx(const std::filesystem::path& path) {
  const OnnxMessages& by = messages();
  const std::string bytes = read_file(path, kMaxOnnxBytes);
  try {
    return by.read(bytes);
  } catch (const Error& e) {
    fail_at({path.string(), 0}, e.what());
  }
}

}  // namespace darknet
