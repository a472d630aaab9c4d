#include "dataset/result_writer.h"

#include "core/error.h"
#include "core/text.h"

namespace darknet {
namespace fs = std::filesystem;

#define RESULT_FORMAT(name, help) \
  std::unique_ptr<ResultWriter> make_##name##_results(const ResultTarget&);
#include "dataset/result_formats.def"
#undef RESULT_FORMAT

namespace {
constexpr ResultFormat kFormats[] = {
#define RESULT_FORMAT(name, help) {#name, help, make_##name##_results},
#include "dataset/result_formats.def"
#undef RESULT_FORMAT
};
}  // namespace

std::span<const ResultFormat> result_formats() { return kFormats; }

std::unique_ptr<ResultWriter> make_result_writer(const std::string& format,
                                                 const ResultTarget& target) {
  for (const ResultFormat& f : kFormats)
    if (format == f.name) return f.make(target);
  fail("'", shown(format), "' is not a format of results");
}

fs::path ResultTarget::file(const std::string& stem, const std::string& extension) const {
  return into_folder ? path / ((name.empty() ? stem : name) + extension) : path;
}

fs::path ResultTarget::file_with_prefix(const std::string& prefix, const std::string& rest) const {
  return path / ((name.empty() ? prefix : name) + rest);
}

}  // namespace darknet
