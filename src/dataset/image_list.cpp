#include "dataset/image_list.h"

#include <algorithm>
#include <functional>
#include <system_error>
#include <utility>

#include "cfg/data_file.h"
#include "core/byte_source.h"
#include "core/error.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "dataset/shard_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxListBytes = std::uint64_t{1} << 30;

// Each line that is not blank, with its number.
void each_line(const fs::path& list, const std::function<void(const fs::path&, int)>& take) {
  InputFile in(list, kMaxListBytes, Pipes::allowed);
  LineReader reader(in, list.string());
  for (std::string_view line; reader.next(line);) {
    if (line.find('\0') != line.npos)
      fail_at({list.string(), reader.number()}, "this is not a text file");
    if (!line.empty()) take(fs::path(line), reader.number());
  }
}

fs::path resolved(const fs::path& line, const Where& where) {
  if (!is_shard_name(line.native())) return resolve_next_to(line, where.file);
  try {
    return resolve_next_to(line, where.file);
  } catch (const Error& e) {  // of braces
    fail_at(where, e.what());
  }
}

std::vector<std::string> listed_shards(const fs::path& line, const Where& where) {
  std::vector<std::string> names = shard_names(line.string());
  for (const std::string& name : names)
    if (!is_url(name) && !is_present(name))
      fail_at(where, name, ": cannot read this file: there is none of this name");
  return names;
}

ImagePaths images_among(const std::vector<fs::path>& files, const fs::path& from) {
  ImagePaths images;
  std::vector<std::string> shards;
  for (const fs::path& file : files)
    if (is_image_name(file.native()))
      images.push_back(file);
    else if (is_shard_name(file.native()))
      shards.push_back(file.string());
  if (images.empty())
    for (const auto& file : files) require_unpacked(file);
  add_shard_images(images, shards);
  if (files.empty() && is_pattern(from))
    fail_at({from.string(), 0}, "no file matches this pattern");
  if (images.empty())
    fail_at({from.string(), 0}, is_pattern(from) ? "matches " : "holds ",
            plural(std::ssize(files), "file"), " and no image among them");
  return images;
}

}  // namespace

ImagePaths read_image_list(const fs::path& path) {
  require_known_scheme(path.string());
  if (is_folder(path)) return images_among(files_below(path), path);
  if (is_pattern(path)) return images_among(files_matching(path), path);
  ImagePaths images;
  if (const std::vector<std::string> shards = shard_names(path.string()); !shards.empty()) {
    add_shard_images(images, shards);
    return images;
  }
  require_unpacked(path);
  std::error_code unknown;  // a pipe has no size
  if (const auto bytes = fs::file_size(path, unknown); !unknown) images.reserve(0, bytes);
  std::vector<std::string> shards;
  const auto add_shards = [&] { add_shard_images(images, std::exchange(shards, {})); };
  each_line(path, [&](const fs::path& line, int number) {
    const fs::path found = resolved(line, {path.string(), number});
    require_unpacked(line);
    if (is_shard_name(line.native())) {
      for (std::string& name : listed_shards(found, {path.string(), number}))
        shards.push_back(std::move(name));
      return;
    }
    if (!shards.empty()) add_shards();
    images.push_back(found);
  });
  add_shards();
  if (images.empty()) fail_at({path.string(), 0}, "no image in this list");
  images.set_lists({std::make_shared<const ListLines>(path)});
  return images;
}

// The same for a relative line and for the image that it means in the list's folder.
std::uint64_t ListLines::key(const fs::path& image) const {
  const fs::path in_folder = image.is_absolute() ? image : list_.parent_path() / image;
  return std::hash<std::string>()(in_folder.string());
}

void ListLines::read() const {
  try {
    each_line(list_,
              [&](const fs::path& line, int number) { lines_.emplace_back(key(line), number); });
  } catch (const Error&) {  // it was there before: the lines up to here count
  }
  std::sort(lines_.begin(), lines_.end());
}

std::optional<Where> ListLines::of(const fs::path& image) const {
  std::call_once(once_, [this] { read(); });
  for (const std::uint64_t wanted :
       {std::uint64_t{std::hash<std::string>()(image.string())}, key(image)}) {
    const auto at = std::lower_bound(lines_.begin(), lines_.end(), std::pair{wanted, 0});
    if (at != lines_.end() && at->first == wanted) return Where{list_.string(), at->second};
  }
  return std::nullopt;
}

std::optional<Error> missing_image(const ImagePaths& images, std::size_t i) {
  if (images.lists().empty()) return std::nullopt;
  const fs::path image = images[i];
  const bool folder = is_folder(image);
  if (is_present(image) && !folder) return std::nullopt;
  for (const auto& list : images.lists())
    if (const auto line = list->of(image))
      return Error(cat(to_string(*line),
                       folder ? ": this is a folder, not an image: " : ": no such image: ",
                       image.string(), folder ? "; name the images in it, one a line" : ""));
  return std::nullopt;
}

void require_all_present(const ImagePaths& images) {
  for (std::size_t i = 0; i < images.size(); ++i)
    if (const auto missing = missing_image(images, i)) throw Error(*missing);
}

// As text: fs::path makes http:/host of http://host where it puts components together.
std::string label_in_labels_folder(std::string_view image) {
  for (std::size_t end = image.rfind('/'); end != image.npos;) {
    const std::size_t before = end == 0 ? image.npos : image.rfind('/', end - 1);
    const std::size_t begin = before == image.npos ? 0 : before + 1;
    const std::string_view folder = image.substr(begin, end - begin);
    if (folder == "images" || folder == "JPEGImages")
      return fs::path(cat(image.substr(0, begin), "labels", image.substr(end)))
          .replace_extension(".txt")
          .string();
    end = before;
  }
  return "";
}

fs::path label_path(const fs::path& image) {
  if (const std::optional<ShardPath> in = through_shard(image))
    return cat(in->shard->name(), '/', label_member(*in->shard, in->member));
  fs::path labels = label_in_labels_folder(image.native());
  if (!labels.empty() && is_present(labels)) return labels;
  return fs::path(image).replace_extension(".txt");
}

fs::path label_path_to_write(const fs::path& image) {
  const fs::path present = label_path(image), labels = label_in_labels_folder(image.native());
  return !is_present(present) && !labels.empty() && is_folder(labels.parent_path()) ? labels
                                                                                    : present;
}

}  // namespace darknet
