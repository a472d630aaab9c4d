#include "dataset/voc_names.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {
namespace fs = std::filesystem;

std::string voc_file_name(const std::string& prefix, const std::string& class_name) {
  std::string name = prefix + class_name + ".txt";
  std::replace(name.begin() + static_cast<std::ptrdiff_t>(prefix.size()), name.end(), '/', '_');
  return name;
}

void require_voc_classes(const std::vector<std::string>& names) {
  std::map<std::string, std::size_t> first;
  for (std::size_t k = 0; k < names.size(); ++k)
    if (const auto [at, fresh] = first.emplace(voc_file_name("", names[k]), k); !fresh)
      fail("classes ", at->second, " and ", k, " ('", shown(names[at->second]), "', '",
           shown(names[k]), "') would share one VOC file; use -format coco or other names");
}

void require_voc_image(const fs::path& image) {
  const std::string stem = image.stem().string();
  if (stem != trim(stem) || stem.find_first_of("\n\v\f") != stem.npos)
    fail(image.string(), ": a VOC file cannot hold this name (blanks at its ends, or line ends)");
}

void require_voc_images(const ImagePaths& images) {
  std::map<std::string, std::size_t> first;
  std::int64_t with_blanks = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const fs::path image = images[i];
    const std::string stem = image.stem().string();
    require_voc_image(image);
    with_blanks += stem.find_first_of(" \t") != stem.npos;
    if (const auto [at, fresh] = first.emplace(stem, i); !fresh)
      fail(image.string(), ": in a VOC file this image and ", images[at->second].string(),
           " would both be '", shown(stem), "'; use -format coco");
  }
  if (with_blanks > 0)
    log::warn(cat("VOC files: ", with_blanks,
                  " image names hold blanks; darknet detector map reads such lines, other programs "
                  "may not"));
}

}  // namespace darknet
