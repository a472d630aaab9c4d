#include "dataset/label_files.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <sstream>
#include <vector>

#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/protected_files.h"
#include "core/text.h"
#include "detect/clip.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxLabelFileBytes = std::uint64_t{1} << 30;
constexpr int kHex = 16;
constexpr double kMinSide = 1e-6;  // of a box: its last digit

}  // namespace

LabelWriter::LabelWriter(fs::path folder) : folder_(std::move(folder)) {
  require_writable_folder(folder_);
  if (!is_present(record())) return;
  std::istringstream in(read_file(record(), kMaxLabelFileBytes));
  LineReader reader(in, record().string());
  for (std::string_view line; reader.next(line);) {
    std::uint64_t sum = 0;
    const auto blank = std::min(line.find(' '), line.size());
    const auto read = std::from_chars(line.data(), line.data() + blank, sum, kHex);
    if (read.ec == std::errc{} && read.ptr == line.data() + blank)
      written_.emplace(trim(line.substr(blank)), sum);
  }
}

void LabelWriter::require_free(const std::string& name) const {
  const fs::path path = folder_ / name;
  require_unprotected(path);
  if (!is_present(path)) return;
  if (!written_.contains({printable(name), checksum_of(read_file(path, kMaxLabelFileBytes))}))
    fail(path.string(),
         ": this label file was not written by an earlier run, or was changed since: ground truth "
         "is not replaced; give another output folder");
}

// The record goes first: what a kill leaves behind is at worst recorded and not written.
void LabelWriter::write(const std::string& name, const std::string& text) {
  require_free(name);
  std::ostringstream line;
  line << std::hex << checksum_of(text) << ' ' << printable(name) << '\n';
  if (written_.emplace(printable(name), checksum_of(text)).second)
    AppendedFile(record()).append(line.str());
  write_file_atomically(folder_ / name, text);
}

std::string label_lines(std::span<const Detection> detections, bool with_probability) {
  std::string text;
  for (const Detection& d : detections) {
    const BoxEdges box = clipped_to_image(d.box);
    if (box.width() < kMinSide || box.height() < kMinSide) continue;
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}", d.class_id, (box.left + box.right) / 2,
                        (box.top + box.bottom) / 2, box.width(), box.height());
    text += with_probability ? fmt::format(" {:.6g}\n", d.probability) : "\n";
  }
  return text;
}

std::string label_name(const fs::path& image) {
  return image.filename().replace_extension(".txt").string();
}

void require_distinct_label_names(const ImagePaths& images) {
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < images.size(); ++i)
    if (const auto [at, fresh] = first.emplace(label_name(images[i]), i); !fresh)
      fail(images[i].string(), ": would share the label file ", at->first, " with ",
           images[at->second].string(), "; -format coco distinguishes such images");
}

}  // namespace darknet
