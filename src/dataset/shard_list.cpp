#include "dataset/shard_list.h"

#include <algorithm>
#include <mutex>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/file_format.h"
#include "core/index.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "core/threads.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {

const std::string kBoxes = ".txt", kClass = ".cls";

std::string upper_case(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

// By several threads: of many small reads each waits for the disk or a server.
std::vector<OpenedShard> open_all(const std::vector<std::string>& names) {
  constexpr std::int64_t kThreadsPerCore = 4;
  std::vector<OpenedShard> opened(names.size());
  std::mutex mutex;
  std::int64_t done = 0;
  log::Progress progress{"reading the headers of shards", std::ssize(names)};
  for_each_in_threads(kThreadsPerCore * core_count(), std::ssize(names), [&](std::int64_t i) {
    opened[to_size(i)] = open_shard(names[to_size(i)]);
    const std::lock_guard lock(mutex);
    progress.at(++done);
  });
  return opened;
}

std::string_view base_of(std::string_view member) {
  return member.substr(member.rfind('/') + 1);  // npos + 1 is 0
}
std::string_view without_extension(std::string_view member) {
  return member.substr(0, member.rfind('.'));
}
// WebDataset: the name up to the first dot of its last component.
std::string_view key_of(std::string_view member) {
  return member.substr(0, member.size() - base_of(member).size() + base_of(member).find('.'));
}
bool has_long_extension(std::string_view member) {
  return key_of(member).size() < without_extension(member).size();
}

// The member "KEY.txt", or "KEY.TXT"; "" where there is neither.
std::string member_with(const TarShard& shard, std::string_view key, const std::string& extension) {
  for (const std::string& one : {extension, upper_case(extension)})
    if (std::string name = cat(key, one); shard.find(name)) return name;
  return "";
}

bool ends_with_either(std::string_view member, const std::string& extension) {
  return member.ends_with(extension) || member.ends_with(upper_case(extension));
}
bool is_label_name(std::string_view member) {
  return ends_with_either(member, kBoxes) || ends_with_either(member, kClass);
}

// So many of a kind, and the first of them.
struct Counted {
  std::int64_t count = 0;
  std::string first;
  void add(const TarShard& shard, std::string_view member) {
    if (count++ == 0) first = cat(shard.name(), ": ", member);
  }
  void add(const Counted& more) {
    if (count == 0) first = more.first;
    count += more.count;
  }
  std::string others() const { return count > 1 ? cat("; so are ", count - 1, " more") : ""; }
};

struct Unused {
  Counted labels, images;
};

bool has_label_of_its_own(const TarShard& shard, std::string_view image) {
  return shard.find(label_member(shard, image)).has_value() ||
         !member_with(shard, without_extension(image), kClass).empty();
}

// The members that are images of the set, in the order of the tar.
std::vector<std::string_view> images_in(const TarShard& shard, Unused& unused) {
  std::vector<std::string_view> all, keys;
  for (std::size_t i = 0; i < shard.size(); ++i) {
    const std::string_view member = shard.member(i);
    if (!is_image_name(member) || base_of(member).starts_with('.')) continue;
    all.push_back(member);
    if (!has_long_extension(member)) keys.push_back(key_of(member));
  }
  std::ranges::sort(keys);
  std::erase_if(all, [&](std::string_view member) {
    const bool beside = has_long_extension(member) &&
                        std::ranges::binary_search(keys, key_of(member)) &&
                        !has_label_of_its_own(shard, member);
    if (beside) unused.images.add(shard, member);
    return beside;
  });
  return all;
}

void check_keys(const TarShard& shard, const std::vector<std::string_view>& images,
                Unused& unused) {
  using Labelled = std::pair<std::string, std::string_view>;  // key of the label file and image
  std::vector<Labelled> labelled;
  std::vector<std::string> keys;
  for (const std::string_view image : images) {
    const std::string labels = label_member(shard, image);
    labelled.emplace_back(without_extension(labels), image);
    keys.emplace_back(without_extension(labels)), keys.emplace_back(without_extension(image));
  }
  std::ranges::sort(labelled);
  const auto twice = std::ranges::adjacent_find(labelled, {}, &Labelled::first);
  if (twice != labelled.end())
    fail(shard.name(), ": ", std::next(twice)->second, ": has the key of ", twice->second,
         ", and one label file cannot be that of two images; give each a key of its own");
  std::ranges::sort(keys);
  for (const std::uint32_t i : shard.by_name()) {
    const auto name = shard.member(i);
    if (!is_label_name(name) || base_of(name).starts_with('.')) continue;
    if (!std::ranges::binary_search(keys, std::string(without_extension(name))))
      unused.labels.add(shard, name);
  }
}

}  // namespace

std::string label_member(const TarShard& shard, std::string_view image) {
  const std::string in_labels = label_in_labels_folder(image);
  if (!in_labels.empty()) {
    std::string found = member_with(shard, without_extension(in_labels), kBoxes);
    if (!found.empty()) return found;
  }
  const std::string_view key = without_extension(image);
  const std::string found = member_with(shard, key, kBoxes);
  return found.empty() ? cat(key, kBoxes) : found;
}

std::string other_labels_text(const std::filesystem::path& image) {
  const std::optional<ShardPath> in = through_shard(image);
  if (!in) return "";
  const std::string_view key = without_extension(in->member);
  for (const char* const extension : {".json", ".xml"})
    if (const std::string found = member_with(*in->shard, key, extension); !found.empty())
      return cat(
          "; the tar has ", found,
          ", which is not read, since each data set has another form of it: boxes are read "
          "from ",
          key, kBoxes,
          ", a line `class x y w h` each, in fractions of the image. Unpack the tar, convert "
          "its labels (darknet import-data reads COCO and VOC) and pack with darknet data "
          "pack");
  if (const std::string found = member_with(*in->shard, key, kClass); !found.empty())
    return cat("; the tar has ", found,
               ", the class of a whole image, which the classifier commands read");
  return "";
}

std::string ClassFiles::of(const std::filesystem::path& image) {
  const std::optional<ShardPath> in = through_shard(image);
  if (!in) return "";
  if (in->shard != shard_) {
    shard_ = in->shard;
    holds_any_ = std::ranges::any_of(shard_->by_name(), [this](std::uint32_t i) {
      return ends_with_either(shard_->member(i), kClass);
    });
  }
  if (!holds_any_) return "";
  const std::string found = member_with(*shard_, without_extension(in->member), kClass);
  if (found.empty())
    fail(image.string(), ": the tar has .cls files with the classes of other images and none, ",
         without_extension(base_of(in->member)), kClass, ", of this one; pack it again with it");
  return cat(shard_->name(), '/', found);
}

void add_shard_images(ImagePaths& to, const std::vector<std::string>& shards) {
  if (shards.empty()) return;
  Unused unused;
  for (const auto& [shard, is_new] : open_all(shards)) {
    Unused found;
    const std::vector<std::string_view> images = images_in(*shard, found);
    check_keys(*shard, images, found);
    if (is_new) unused.labels.add(found.labels), unused.images.add(found.images);
    for (const std::string_view image : images) to.push_back(cat(shard->name(), '/', image));
    if (images.empty())
      fail(shard->name(), ": holds ", plural(static_cast<std::int64_t>(shard->size()), "file"),
           " and no image among them");
  }
  if (unused.labels.count > 0)
    log::warn(cat(unused.labels.first, ": no image has this key, the label file is not used",
                  unused.labels.others()));
  if (unused.images.count > 0)
    log::warn(cat(unused.images.first,
                  ": stands under the key of another image and has no label file of its own, it is "
                  "not used",
                  unused.images.others()));
}

const std::string& ShardOfPath::operator()(const std::filesystem::path& path) {
  const std::string& text = path.native();
  const bool same = !shard_.empty() && text.starts_with(shard_) && text[shard_.size()] == '/';
  if (same) return shard_;
  const std::optional<ShardPath> found = through_shard(path);
  return shard_ = found ? found->shard->name() : "";
}

void require_unpacked(const std::filesystem::path& name) {
  for (const char* const end : {".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.lz4"})
    if (name.native().ends_with(end))
      fail(name.string(),
           ": compressed shards are not read, since images are taken from any place; "
           "unpack them to .tar (images are compressed already)");
}

}  // namespace darknet
