#include "dataset/pack.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <sstream>
#include <utility>

#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/tar_headers.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "image/file_check.h"
#include "image/image.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxRecordBytes = 1u << 30, kMaxLabelText = 64u << 20;
constexpr std::uint64_t kPackOrder = 0x504b;  // a stream of random numbers

// Where WebDataset's readers divide the name of a member, the first dot, begins the extension.
std::string stem_of(const fs::path& image) {
  std::string stem = image.stem().string();
  std::ranges::replace(stem, '.', '_');
  return stem;
}

// The keys of a list: the names of the images, or where two have one name, with their places in the
// list before them.
class Keys {
 public:
  explicit Keys(const ImagePaths& images) : images_(images) {
    std::vector<std::uint64_t> names;
    names.reserve(images.size());
    for (std::size_t i = 0; i < images.size(); ++i)
      names.push_back(mix(checksum_of(stem_of(images[i]))));
    std::ranges::sort(names);
    numbered_ = std::ranges::adjacent_find(names) != names.end();
  }
  std::string of(std::size_t i) const {
    constexpr std::size_t kDigits = 9;
    std::string number = std::to_string(i);
    number.insert(0, kDigits - std::min(kDigits, number.size()), '0');
    return (numbered_ ? number + "_" : "") + stem_of(images_[i]);
  }

 private:
  const ImagePaths& images_;
  bool numbered_ = false;
};

std::vector<std::uint32_t> order_of(std::size_t images, std::uint64_t seed, bool shuffled) {
  std::vector<std::uint32_t> order(images);
  std::iota(order.begin(), order.end(), 0u);
  Rng rng(seed ^ kPackOrder);
  for (std::size_t i = images; shuffled && i > 1; --i)  // Fisher and Yates
    std::swap(order[i - 1], order[to_size(rng.below(static_cast<std::int64_t>(i)))]);
  return order;
}

std::string sound_image(const ImagePaths& images, std::size_t i) {
  std::string bytes = read_listed(images, i, image_bytes);
  if (file_kind(bytes) == FileKind::unknown || !soundness(bytes).complete)
    fail(images[i].string(),
         ": this is no image, or one that was cut short; darknet detector check "
         "finds all that are");
  return bytes;
}

std::string sound_labels(const ImagePaths& images, std::size_t i, std::int64_t classes) {
  const LabelFile file = read_label_file(images, i, classes, BadLabels::stop);
  if (!file.errors.empty())
    fail(file.errors.front(),
         "; correct it before packing (darknet detector check finds all that is "
         "wrong; an empty file marks an image without objects)");
  return read_file(label_path(images[i]), kMaxLabelText);
}

std::string shard_name(const std::string& list, std::size_t number) {
  constexpr std::size_t kDigits = 6;
  std::string digits = std::to_string(number);
  digits.insert(0, kDigits - std::min(kDigits, digits.size()), '0');
  return cat(list, '-', digits, ".tar");
}

std::string line_of(const PackedShard& s) {
  return cat(s.sha256, ' ', s.bytes, ' ', s.images, ' ', s.name, '\n');
}

}  // namespace

Packer::Packer(PackOptions options, const std::string& work) : options_(std::move(options)) {
  require_writable_folder(options_.out);
  remove_leftovers(options_.out, "");
  if (is_present(record())) {
    read_record(work);
    return;
  }
  for (const fs::path& path : entries_of(options_.out))
    if (path.extension() == ".tar" || path.filename() == kShardSums)
      fail(options_.out.string(), ": holds shards already (", path.filename().string(),
           "); give another folder, or remove them");
  AppendedFile(record()).append(work + "\n");
}

void Packer::read_record(const std::string& work) {
  std::istringstream in(read_file(record(), kMaxRecordBytes));
  LineReader reader(in, record().string());
  std::string_view line;
  if (!reader.next(line) || line != work)
    fail(options_.out.string(),
         ": holds shards of another call that was interrupted (other lists, "
         "-seed or -shard_mb); give another folder, or remove what is in it");
  goes_on_ = true;
  while (reader.next(line)) {
    std::istringstream fields{std::string(line)};
    PackedShard shard;
    std::error_code missing;
    if (!(fields >> shard.sha256 >> shard.bytes >> shard.images >> shard.name)) break;
    if (fs::file_size(options_.out / shard.name, missing) != shard.bytes || missing)
      fail((options_.out / shard.name).string(),
           ": is not as it was packed before the interruption; "
           "remove what is in this folder and pack again");
    done_.push_back(std::move(shard));
  }
}

void Packer::keep(const PackedShard& shard) {
  AppendedFile(record()).append(line_of(shard));
  done_.push_back(shard);
}

std::vector<PackedShard> Packer::shards(const std::string& list) const {
  std::vector<PackedShard> some;
  for (const PackedShard& s : done_)
    if (s.name.starts_with(list + "-")) some.push_back(s);
  return some;
}

bool Packer::pack(const std::string& list, const ImagePaths& images, bool shuffled) {
  const Keys keys(images);
  const std::vector<std::uint32_t> order = order_of(images.size(), options_.seed, shuffled);
  const std::vector<PackedShard> before = shards(list);
  std::size_t at = 0, number = before.size();
  for (const PackedShard& s : before) at += to_size(s.images);
  log::Progress progress("packing " + list, std::ssize(images));
  std::optional<TarWriter> tar;
  PackedShard shard;
  const auto close = [&] {
    if (!tar) return;
    const TarWriter::Written written = tar->commit();
    shard.bytes = written.bytes, shard.sha256 = written.sha256;
    keep(shard);
    tar.reset();
  };
  for (; at < order.size(); ++at) {
    if (options_.stop && options_.stop()) return false;
    const std::size_t i = order[at];
    const std::string image = sound_image(images, i);
    const std::string labels = sound_labels(images, i, options_.classes);
    if (tar && std::ssize(image) + std::ssize(labels) + static_cast<std::int64_t>(tar->bytes()) >
                   options_.shard_bytes)
      close();
    if (!tar) {
      shard = {.name = shard_name(list, number++)};
      tar.emplace(options_.out / shard.name);
    }
    const std::string key = keys.of(i);
    tar->add(key + lower_case(images[i].extension().string()), image);
    tar->add(key + ".txt", labels);
    ++shard.images;
    progress.at(static_cast<std::int64_t>(at) + 1);
  }
  close();
  return true;
}

void Packer::finish() {
  std::string sums;
  for (const PackedShard& s : done_) sums += cat(s.sha256, "  ", s.name, '\n');
  write_file_atomically(options_.out / kShardSums, sums);
  remove_file(record());
}

}  // namespace darknet
