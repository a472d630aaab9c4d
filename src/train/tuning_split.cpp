#include "train/tuning_split.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/byte_source.h"
#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/text.h"
#include "dataset/data_set_files.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

std::string place_of(const fs::path& image) { return whole_path(image).string(); }

// The same from any working directory.
std::string place_from(const fs::path& folder, const fs::path& image) {
  return is_url(image.native()) ? image.string()
                                : whole_path(image).lexically_relative(folder).generic_string();
}

// Images by their places, whichever way they are written. Of long lists: hashes take 8 bytes an
// image, places as text more than 100.
class Places {
 public:
  explicit Places(const ImagePaths& images) {
    all_.reserve(images.size());
    for (const fs::path& image : images) all_.push_back(hash_of(place_of(image)));
    std::sort(all_.begin(), all_.end());
  }
  bool hold(const fs::path& image) const {
    return std::binary_search(all_.begin(), all_.end(), hash_of(place_of(image)));
  }

 private:
  std::vector<std::uint64_t> all_;
};

// An image that the list has twice is one.
ImagePaths share_of(const ImagePaths& images, const fs::path& list, double share) {
  const fs::path folder = whole_path(list).parent_path();
  using Ordered = std::pair<std::uint64_t, std::size_t>;  // hash of the path from the folder, place
  std::vector<Ordered> ordered;
  ordered.reserve(images.size());
  for (std::size_t i = 0; i < images.size(); ++i)
    ordered.emplace_back(hash_of(place_from(folder, images[i])), i);
  std::sort(ordered.begin(), ordered.end());
  const auto same_hash = [](const Ordered& a, const Ordered& b) { return a.first == b.first; };
  ordered.erase(std::unique(ordered.begin(), ordered.end(), same_hash),
                ordered.end());  // the first place stays
  const auto wanted = std::llround(share * static_cast<double>(ordered.size()));
  ordered.resize(std::min(ordered.size(), to_size(std::max<std::int64_t>(1, wanted))));
  std::vector<std::size_t> places;
  places.reserve(ordered.size());
  for (const auto& [hash, place] : ordered) places.push_back(place);
  std::sort(places.begin(), places.end());
  ImagePaths chosen;
  for (const std::size_t place : places) chosen.push_back(images[place]);
  chosen.set_lists(images.lists());
  return chosen;
}

void require_unseen(const DataFile& data, const Places& tuning) {
  if (data.valid.empty()) return;
  std::size_t shared = 0;
  std::string first;
  for (const fs::path& image : read_image_list(data.valid))
    if (tuning.hold(image) && shared++ == 0) first = image.string();
  if (shared > 0)
    fail_at(
        {data.valid.string(), 0}, plural(static_cast<std::int64_t>(shared), "image"),
        " of the tuning split are in this list too, the first is ", first,
        ": variants must not be chosen on images on which they are evaluated later; take them out "
        "of one of the lists");
}

constexpr const char* kOtherwise =
    "; give another -out, or call from the folder where the sweep was begun";

void require_images(const fs::path& kept, const ImagePaths& now, const DataFile& data) {
  // Of a missing image the list has the path from its own folder, where others are found by it.
  const auto same = [&](const fs::path& a, const fs::path& b) {
    const std::string place = place_of(b);
    return place_of(a) == place || (!is_present(a) && place_of(kept.parent_path() / a) == place);
  };
  const ImagePaths before = read_image_list(kept);
  if (!std::equal(before.begin(), before.end(), now.begin(), now.end(), same))
    fail_at({kept.string(), 0}, "this folder holds the tuning split of other lists than those of ",
            data.path.string(), kOtherwise);
}

bool same_file(const fs::path& a, const fs::path& b) {
  if (a.empty() || b.empty()) return a.empty() && b.empty();
  return fs::weakly_canonical(fs::absolute(a)) == fs::weakly_canonical(fs::absolute(b));
}

}  // namespace

TuningSplit split_for_tuning(const DataFile& data, double share) {
  const ImagePaths all = read_image_list(required(data, data.train, "train"));
  TuningSplit split;
  split.tuning = data.tune.empty() ? share_of(all, data.train, share) : read_image_list(data.tune);
  const Places tuning(split.tuning);
  require_unseen(data, tuning);
  std::vector<std::size_t> left_out;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (tuning.hold(all[i])) left_out.push_back(i);
  if (left_out.size() == all.size())
    fail_at({data.train.string(), 0},
            "the tuning split takes all of its images, and none is left to train on");
  split.train = without(all, left_out);
  return split;
}

TuningFiles tuning_files(const fs::path& folder) {
  return {.data = folder / "tuning.data",
          .train = folder / "tuning-train.txt",
          .tuning = folder / "tuning-valid.txt"};
}

std::string list_text(const ImagePaths& images, const fs::path& folder) {
  const fs::path from = whole_path(folder / "").parent_path();
  const bool by_a_link = fs::weakly_canonical(from) != from;
  std::string text;
  for (const fs::path& image : images) {
    const fs::path whole = whole_path(image);
    const bool as_it_is = image.is_absolute() || is_url(image.native());
    text += (as_it_is ? image : by_a_link ? whole : whole.lexically_relative(from)).string() + "\n";
  }
  return text;
}

std::string tuning_data_text(const DataFile& data, const TuningFiles& files) {
  std::string text = cat("# ", data.path.string(), " with a tuning split in place of valid\n");
  const auto add = [&](const char* key, const fs::path& file) {
    text += cat(key, " = ", whole_path(file).string(), "\n");
  };
  if (data.classes > 0) text += cat("classes = ", data.classes, "\n");
  add("train", files.train);
  add("valid", files.tuning);
  if (!data.names.empty()) add("names", data.names);
  return text;
}

void require_kept(const TuningFiles& files, const TuningSplit& split, const DataFile& data) {
  if (is_present(files.train)) require_images(files.train, split.train, data);
  if (is_present(files.tuning)) require_images(files.tuning, split.tuning, data);
  if (!is_present(files.data)) return;
  const DataFile kept = read_data_file(files.data);
  if (!same_file(kept.train, files.train) || !same_file(kept.valid, files.tuning))
    fail_at({files.data.string(), 0}, "its lists are not those of this folder", kOtherwise);
  if (kept.classes != data.classes || !same_file(kept.names, data.names))
    fail_at({files.data.string(), 0}, "its classes or names are not those of ", data.path.string(),
            kOtherwise);
}

}  // namespace darknet
