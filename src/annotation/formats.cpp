#include "annotation/formats.h"

#include <array>

#include "core/error.h"
#include "core/text.h"

namespace darknet {

#define FORMAT(name, description)         \
  bool found_##name(const SourceFolder&); \
  AnnotatedSet read_##name(const SourceFolder&, const std::vector<std::string>& names);
#include "annotation/formats.def"
#undef FORMAT

std::span<const AnnotationFormat> annotation_formats() {
  static constexpr auto kFormats = std::to_array<AnnotationFormat>({
#define FORMAT(name, description) {#name, description, found_##name, read_##name},
#include "annotation/formats.def"
#undef FORMAT
  });
  return kFormats;
}

const AnnotationFormat& annotation_format(const std::string& name, const SourceFolder& folder) {
  std::vector<std::string> found;
  const AnnotationFormat* last = nullptr;
  for (const AnnotationFormat& format : annotation_formats()) {
    if (name == format.name) return format;
    if (name != "auto" || !format.found_in(folder)) continue;
    found.emplace_back(format.name);
    last = &format;
  }
  if (found.empty()) {
    std::vector<std::string> known;
    for (const AnnotationFormat& format : annotation_formats())
      known.push_back(cat("\n  ", format.name, ": ", format.description));
    fail_at({folder.root().string(), 0}, "no annotations were found among ",
            plural(std::ssize(folder.files()), "file"), "; known formats:", joined(known, ""));
  }
  if (found.size() > 1)
    fail_at({folder.root().string(), 0},
            "holds annotations of several formats: ", joined(found, ", "),
            "; choose one with -format");
  return *last;
}

}  // namespace darknet
