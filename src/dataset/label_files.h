// Label files as output, into folders where ground truth may lie: only files that this program
// wrote, and that nobody has changed since, are replaced.
#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "dataset/image_paths.h"
#include "detect/box.h"

namespace darknet {

// What was written is recorded in FOLDER/.darknet_labels, a line per file: checksum and name.
class LabelWriter {
 public:
  // Makes the folder; throws where it cannot be written.
  explicit LabelWriter(std::filesystem::path folder);
  // Throws where a file of this name is ground truth, or may be.
  void require_free(const std::string& name) const;
  // Throws where require_free() does.
  void write(const std::string& name, const std::string& text);

 private:
  std::filesystem::path record() const { return folder_ / ".darknet_labels"; }
  std::filesystem::path folder_;
  std::set<std::pair<std::string, std::uint64_t>> written_;  // names, checksums
};

// "class x y width height", and the probability behind it where asked for, of boxes clipped to the
// image (detect/clip.h); boxes without area in the image, which no reader of labels takes, are left
// out.
std::string label_lines(std::span<const Detection>, bool with_probability);

// What the label file of an image is called: STEM.txt.
std::string label_name(const std::filesystem::path& image);
// Throws, naming both, where two images would have one label file: 1.png and 1.bmp, a/1.png and
// b/1.png.
void require_distinct_label_names(const ImagePaths& images);

}  // namespace darknet
