#include "cli/new_file.h"

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet::cli {

void add_force(const Command& command, bool& force) {
  command.flag("-force", force, "replace an existing file");
}

void require_new_file(const std::filesystem::path& file, const FileFormat& format, bool force) {
  const auto ends_like = [&](const FileFormat& other, const char* extension) {
    return format.kind != other.kind && file.extension() == extension;
  };
  if (ends_like(kWeightsFormat, ".weights") || ends_like(kCfgFormat, ".cfg"))
    throw Error(cat(printable(file.string()), ": ", format.kind,
                    " would be written to it; mind the order of the arguments"),
                2);
  require_writable_file(file, format);
  if (!force && is_present(file))
    fail(file.string(), ": the file exists; -force replaces it, or give another name");
}

}  // namespace darknet::cli
