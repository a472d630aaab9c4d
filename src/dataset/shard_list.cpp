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

// As label_path() says of the paths that go through the shard.
std::string member_label(const TarShard& shard, std::string_view image) {
  std::string labels = label_in_labels_folder(image);
  if (!labels.empty() && shard.find(labels)) return labels;
  return cat(image.substr(0, image.rfind('.')), ".txt");
}

struct StrayLabels {
  std::int64_t count = 0;
  std::string first;
};

void check_keys(const TarShard& shard, StrayLabels& stray) {
  using Labelled = std::pair<std::string, std::string_view>;  // label file and image
  std::vector<Labelled> images;
  for (const std::uint32_t i : shard.by_name())
    if (const auto name = shard.member(i); is_image_name(name))
      images.emplace_back(member_label(shard, name), name);
  std::ranges::sort(images);
  const auto twice = std::ranges::adjacent_find(images, {}, &Labelled::first);
  if (twice != images.end())
    fail(shard.name(), ": ", std::next(twice)->second, ": has the key of ", twice->second,
         ", and one label file cannot be that of two images; give each a key of its own");
  for (const std::uint32_t i : shard.by_name()) {
    const auto name = shard.member(i);
    if (!name.ends_with(".txt")) continue;
    const auto at = std::ranges::lower_bound(images, name, {}, &Labelled::first);
    if (at != images.end() && at->first == name) continue;
    if (stray.count++ == 0) stray.first = cat(shard.name(), ": ", name);
  }
}

}  // namespace

void add_shard_images(ImagePaths& to, const std::vector<std::string>& shards) {
  if (shards.empty()) return;
  StrayLabels stray;
  for (const auto& [shard, is_new] : open_all(shards)) {
    StrayLabels found;
    check_keys(*shard, found);
    if (is_new && stray.count == 0) stray.first = found.first;
    if (is_new) stray.count += found.count;
    const std::size_t before = to.size();
    for (std::size_t i = 0; i < shard->size(); ++i)
      if (is_image_name(shard->member(i))) to.push_back(cat(shard->name(), '/', shard->member(i)));
    if (to.size() == before)
      fail(shard->name(), ": holds ", plural(static_cast<std::int64_t>(shard->size()), "file"),
           " and no image among them");
  }
  if (stray.count > 0)
    log::warn(cat(stray.first, ": no image has this key, the label file is not used",
                  stray.count > 1 ? cat("; so are ", stray.count - 1, " more") : ""));
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
