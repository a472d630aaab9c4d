#include "dataset/image_list.h"

#include <system_error>
#include "cfg/data_file.h"
#include "core/error.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;

fs::path in_labels_folder(const fs::path& image) {
  std::vector<fs::path> parts(image.begin(), image.end());
  if (parts.empty()) return {};
  for (std::size_t i = parts.size() - 1; i-- > 0;) {
    if (parts[i] != "images" && parts[i] != "JPEGImages") continue;
    parts[i] = "labels";
    fs::path out;
    for (const fs::path& p : parts) out /= p;
    return out.replace_extension(".txt");
  }
  return {};
}

}  // namespace

ImagePaths read_image_list(const fs::path& path) {
  InputFile in(path, kMaxBytes, Pipes::allowed);
  ImagePaths images;
  std::error_code unknown;  // a pipe has no size
  if (const auto bytes = fs::file_size(path, unknown); !unknown) images.reserve(0, bytes);
  LineReader reader(in, path.string());
  for (std::string_view line; reader.next(line);) {
    if (line.find('\0') != line.npos)
      fail_at({path.string(), reader.number()}, "this is not a text file");
    if (!line.empty()) images.push_back(resolve_next_to(fs::path(line), path));
  }
  if (images.empty()) fail_at({path.string(), 0}, "no image in this list");
  return images;
}

fs::path label_path(const fs::path& image) {
  fs::path folder = in_labels_folder(image);
  if (!folder.empty() && is_present(folder)) return folder;
  fs::path sibling = image;
  return sibling.replace_extension(".txt");
}

}  // namespace darknet
