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
#include "dataset/class_targets.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/shard_sums.h"
#include "image/file_check.h"
#include "image/image.h"
#include "image/jpeg_segments.h"

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
    for (const fs::path& image : images) names.push_back(hash_of(stem_of(image)));
    std::ranges::sort(names);
    numbered_ = std::ranges::adjacent_find(names) != names.end();
  }
  std::string of(std::size_t i) const {
    constexpr std::size_t kDigits = 9;
    return (numbered_ ? zero_padded(i, kDigits) + "_" : "") + stem_of(images_[i]);
  }

 private:
  const ImagePaths& images_;
  bool numbered_ = false;
};

std::vector<std::uint32_t> order_of(std::size_t images, std::uint64_t seed, bool shuffled) {
  std::vector<std::uint32_t> order(images);
  std::iota(order.begin(), order.end(), 0u);
  Rng rng(seed ^ kPackOrder);
  if (shuffled) shuffle(order, rng);
  return order;
}

std::string sound_image(const ImagePaths& images, std::size_t i) {
  std::string bytes = read_listed(images, i, image_bytes);
  const Soundness sound = soundness(bytes);
  if (const std::string why = jpeg::why_refused(sound); !why.empty())
    fail(images[i].string(), ": ", why);
  if (file_kind(bytes) == FileKind::unknown || !sound.complete)
    fail(images[i].string(),
         ": this is no image, or one that was cut short; darknet detector check "
         "finds all that are");
  return bytes;
}

std::string sound_boxes(const ImagePaths& images, std::size_t i, std::int64_t classes) {
  const LabelFile file = read_label_file(images, i, classes, BadLabels::stop);
  if (!file.errors.empty() && !file.image_missing && !is_present(label_path(images[i])))
    fail(file.errors.front(),
         "; an empty file marks an image without objects; the images of a classifier, whose paths "
         "hold their class, are packed with -classifier");
  if (!file.errors.empty())
    fail(file.errors.front(),
         "; correct it before packing (darknet detector check finds all that is "
         "wrong; an empty file marks an image without objects)");
  return read_file(label_path(images[i]), kMaxLabelText);
}

std::string shard_name(const std::string& list, std::size_t number) {
  constexpr std::size_t kDigits = 6;
  return cat(list, '-', zero_padded(number, kDigits), ".tar");
}

std::string line_of(const PackedShard& s) {
  return cat(s.sha256, ' ', s.bytes, ' ', s.images, ' ', s.name, '\n');
}

// None where the line is damaged.
std::optional<PackedShard> shard_of(const std::string& line) {
  constexpr std::size_t kDigits = 64;
  std::istringstream fields(line);
  PackedShard s;
  if (!(fields >> s.sha256 >> s.bytes >> s.images >> s.name)) return std::nullopt;
  const bool sum =
      s.sha256.size() == kDigits && s.sha256.find_first_not_of("0123456789abcdef") == s.sha256.npos;
  return sum ? std::optional(std::move(s)) : std::nullopt;
}

// "": none.
fs::path shard_or_sums_in(const fs::path& folder) {
  for (const fs::path& path : entries_of(folder))
    if (path.extension() == ".tar" || path.filename() == kShardSums) return path.filename();
  return {};
}

}  // namespace

Packer::Packer(PackOptions options, const std::string& work) : options_(std::move(options)) {
  require_writable_folder(options_.out);
  lock_.emplace(record().string() + ".lock", "the packing into " + options_.out.string());
  remove_leftovers(options_.out, "");
  if (is_present(record())) read_record(work);
  if (const fs::path other = goes_on_ ? "" : shard_or_sums_in(options_.out); !other.empty())
    fail(options_.out.string(), ": holds shards already (", other.string(),
         "); give another folder, or remove them");
  found_ = done_.size();
  // Anew: behind half a line, as a kill may leave it, the next one would be lost too.
  std::string text = work + "\n";
  for (const PackedShard& shard : done_) text += line_of(shard);
  write_file_atomically(record(), text);
}

// A record without shards would let the next call take what lies there for its own. One whose shard
// could not be noted any more is needed.
Packer::~Packer() {
  try {
    if (done_.empty() && shard_or_sums_in(options_.out).empty()) remove_file(record());
  } catch (const std::exception&) {  // then the next call reads it
    return;
  }
}

void Packer::read_record(const std::string& work) {
  std::string text = read_file(record(), kMaxRecordBytes);
  text.erase(text.rfind('\n') + 1);  // half a line
  std::istringstream in(text);
  LineReader reader(in, record().string());
  std::string_view line;
  if (!reader.next(line)) return;
  if (line != work && !reader.next(line)) return;  // which ended before its first shard
  if (line != work)
    fail(options_.out.string(),
         ": holds shards of another call that was interrupted (other lists, classes, -seed or "
         "-shard_mb); give another folder, or remove what is in it");
  goes_on_ = true;
  while (reader.next(line)) {
    const std::optional<PackedShard> shard = shard_of(std::string(line));
    std::error_code missing;
    if (!shard) break;
    if (fs::file_size(options_.out / shard->name, missing) != shard->bytes || missing)
      fail((options_.out / shard->name).string(),
           ": is not as it was packed before the interruption; "
           "remove what is in this folder and pack again");
    done_.push_back(*shard);
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
  const bool classifier = !options_.class_labels.empty();
  ImageClasses image_classes(images, options_.class_labels);
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
    const std::string labels =
        classifier ? std::to_string(image_classes.of(i)) : sound_boxes(images, i, options_.classes);
    const std::string key = keys.of(i);
    const std::string member = key + lower_case(images[i].extension().string());
    if (tar && tar->bytes_with(member, image.size() + labels.size()) >
                   static_cast<std::uint64_t>(options_.shard_bytes))
      close();
    if (!tar) {
      shard = {.name = shard_name(list, number++)};
      tar.emplace(options_.out / shard.name);
    }
    tar->add(member, image);
    tar->add(key + (classifier ? ".cls" : ".txt"), labels);
    ++shard.images;
    progress.at(static_cast<std::int64_t>(at) + 1);
  }
  close();
  return true;
}

void Packer::finish() {
  std::string sums;
  for (const PackedShard& s : done_) sums += sum_lines(s.name, {s.sha256, s.bytes});
  write_file_atomically(options_.out / kShardSums, sums);
  remove_file(record());
}

}  // namespace darknet
