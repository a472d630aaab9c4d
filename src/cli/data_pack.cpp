// darknet data pack data out
#include "dataset/pack.h"

#include <fmt/core.h>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "core/byte_source.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/class_targets.h"
#include "dataset/data_set_files.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/shard_sequence.h"
#include "dataset/shard_sums.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct DataPackArguments {
  fs::path data, out;
  std::int64_t shard_mb = 512;
  std::uint64_t seed = 1;
  bool classifier = false;
};

struct List {
  const char* name;
  ImagePaths images;
  bool shuffled = false;  // results of an evaluation keep the order of the list
};

std::vector<List> lists_of(const DataFile& data) {
  std::vector<List> lists{{"train", read_image_list(required(data, data.train, "train")), true}};
  if (!data.valid.empty()) lists.push_back({"valid", read_image_list(data.valid)});
  if (!data.tune.empty()) lists.push_back({"tune", read_image_list(data.tune)});
  return lists;
}

// `names`, `labels`: of the classes; their order gives the numbers in label files and in .cls.
std::string work_of(const DataPackArguments& o, const std::vector<List>& lists,
                    const std::vector<std::string>& names, const std::vector<std::string>& labels) {
  Checksum sum;
  for (const std::vector<std::string>* const of_classes : {&names, &labels}) {
    const std::string text = cat(of_classes->size(), '\n', joined(*of_classes, "\n"), '\n');
    sum.add(text.data(), text.size());
  }
  for (const List& list : lists) {
    sum.add(list.name, std::string_view(list.name).size());
    for (std::size_t i = 0; i < list.images.size(); ++i) {
      const std::string_view path = list.images.text(i);
      sum.add(path.data(), path.size());
      sum.add("\n", 1);
    }
  }
  return cat("lists ", sum.value(), " seed ", o.seed, " shard_mb ", o.shard_mb,
             labels.empty() ? "" : " classifier");
}

// "train-{000000..000012}.tar", or the one name.
std::string range_of(const std::vector<PackedShard>& shards) {
  if (shards.size() == 1) return shards.front().name;
  const std::string &first = shards.front().name, &last = shards.back().name;
  const auto dash = first.rfind('-') + 1, dot = first.rfind('.');
  return cat(first.substr(0, dash), '{', first.substr(dash, dot - dash), "..",
             last.substr(dash, last.rfind('.') - dash), "}.tar");
}

fs::path seen_from(const fs::path& folder, const fs::path& list) {
  if (is_url(list.native())) return list;
  return whole_path(list).lexically_relative(whole_path(folder));
}

// Relative to the new .data file: its folder may be served by a web server, or be moved, together
// with the list of difficult=, which is not packed.
std::string packed_data_text(const DataPackArguments& o, const DataFile& data,
                             const std::vector<List>& lists, const Packer& packer,
                             bool classifier) {
  const std::string stem = o.data.stem().string();
  std::string text = cat("classes = ", data.classes, "\n");
  for (const List& list : lists)
    text += cat(list.name, " = ", range_of(packer.shards(list.name)), "\n");
  if (!data.difficult.empty())
    text += cat("difficult = ", seen_from(o.out, data.difficult).string(), "\n");
  text += cat("names = ", stem, ".names\n");
  if (classifier) text += cat("labels = ", stem, ".labels\ntop = ", data.top, "\n");
  text += cat("backup = ", data.backup.is_absolute() ? "backup" : data.backup.string(), "\n");
  if (!data.eval.empty()) text += cat("eval = ", data.eval, "\n");
  return text;
}

// Shards there would become images of the same set.
void require_no_images_in_folder(const DataPackArguments& o, const DataFile& data,
                                 const std::vector<List>& lists) {
  const fs::path out = whole_path(o.out / "");
  for (const fs::path& list : {data.train, data.valid, data.tune})
    if (is_folder(list) && out.native().starts_with(whole_path(list / "").native()))
      fail_at({o.out.string(), 0}, "lies in ", list.string(),
              ", a folder of images of this data set; give a folder outside of it");
  for (const List& list : lists)
    for (const fs::path& image : list.images)
      if (whole_path(image).parent_path() / "" == out)
        fail_at({o.out.string(), 0}, "holds ", image.string(),
                ", an image of this data set; give a folder without images");
}

// Evaluation pairs the images of difficult= with those of valid= by their names.
void require_kept_names(const DataPackArguments& o, const List& valid, const Packer& packer) {
  const ImagePaths packed = read_image_list(o.out / range_of(packer.shards(valid.name)));
  for (std::size_t i = 0; i < packed.size(); ++i)
    if (packed[i].filename() != valid.images[i].filename())
      fail_at({o.data.string(), 0}, "difficult= names the images as valid= does, but in a shard ",
              valid.images[i].string(), " is called ", packed[i].filename().string(),
              "; give the images of both lists names of their own without further dots and endings "
              "in lower case, or leave difficult= out; then remove ",
              o.out.string(), " and pack anew");
}

void print(const List& list, const Packer& packer) {
  std::uint64_t bytes = 0;
  const std::vector<PackedShard> shards = packer.shards(list.name);
  for (const PackedShard& s : shards) bytes += s.bytes;
  fmt::print("{}: {} in {}, {:.1f} MB\n", list.name, plural(std::ssize(list.images), "image"),
             plural(std::ssize(shards), "shard"), 1e-6 * static_cast<double>(bytes));
}

std::string lines_of(const std::vector<std::string>& texts) { return joined(texts, "\n") + "\n"; }

struct Written {
  fs::path file;
  std::string text;
};

[[noreturn]] void refuse_to_replace(const DataPackArguments& o, const fs::path& file) {
  fail(file.string(), ": would be replaced; give another folder than ", o.out.string(),
       ", or remove this file");
}

// Throws where there is a file with other bytes.
void require_free_or_same(const DataPackArguments& o, const Written& w) {
  if (!is_present(w.file)) return;
  std::error_code not_known;
  const bool may_be_same = fs::file_size(w.file, not_known) == w.text.size() && !not_known;
  if (!may_be_same || read_file(w.file, w.text.size()) != w.text) refuse_to_replace(o, w.file);
}

// Before anything is packed: where an earlier call was interrupted, its own files may be there.
void require_new_files(const DataPackArguments& o, const std::vector<Written>& of_classes,
                       const fs::path& packed, bool goes_on) {
  if (!goes_on && is_present(packed)) refuse_to_replace(o, packed);
  for (const Written& w : of_classes)
    if (goes_on)
      require_free_or_same(o, w);
    else if (is_present(w.file))
      refuse_to_replace(o, w.file);
}

void write_new(const DataPackArguments& o, const Written& w) {
  require_free_or_same(o, w);
  if (!is_present(w.file)) write_file_atomically(w.file, w.text);
}

// labels= is of classifiers: the boxes of a detector's set would be left out without a word.
void require_no_boxes(const DataPackArguments& o, const std::vector<List>& lists) {
  constexpr std::uint64_t kMaxLabelText = 64u << 20;
  for (const List& list : lists)
    for (const fs::path& image : list.images)
      if (const fs::path labels = label_path(image);
          is_present(labels) && !trim(read_file(labels, kMaxLabelText)).empty())
        fail_at({o.data.string(), 0},
                "with labels= this is a set for classifiers, whose boxes are not packed, but ",
                labels.string(),
                " has some; remove labels= to pack boxes, or give -classifier to leave them out");
}

int run(const DataPackArguments& o) {
  DataFile data = read_data_file(o.data);
  const bool classifier = o.classifier || !data.labels.empty();
  const auto names = names_of(data.names, data.classes);
  if (names.empty())
    fail_at({o.data.string(), 0},
            "nothing says how many classes there are; add names=FILE or classes=N");
  data.classes = std::ssize(names);
  const auto labels = classifier ? class_labels(data, data.classes) : std::vector<std::string>{};
  const std::vector<List> lists = lists_of(data);
  require_no_images_in_folder(o, data, lists);
  for (const List& list : lists) require_all_present(list.images);
  const fs::path packed = o.out / o.data.filename().replace_extension(".data");
  if (classifier && !o.classifier) require_no_boxes(o, lists);
  std::vector<Written> of_classes{{fs::path(packed).replace_extension(".names"), lines_of(names)}};
  if (classifier)
    of_classes.push_back({fs::path(packed).replace_extension(".labels"), lines_of(labels)});
  const InterruptGuard interrupt("the image");
  Packer packer({.out = o.out,
                 .shard_bytes = o.shard_mb << 20,
                 .classes = data.classes,
                 .class_labels = labels,
                 .seed = o.seed,
                 .stop = [&] { return interrupt.requested(); }},
                work_of(o, lists, names, labels));
  const auto found = static_cast<std::int64_t>(packer.found());
  require_new_files(o, of_classes, packed, found > 0);
  if (found > 0)
    log::info(cat("going on with what was interrupted: ", plural(found, "complete shard"),
                  found == 1 ? " stays as it was" : " stay as they were",
                  " packed, also where images or label files were changed since"));
  // The training images last, since they take longest: errors in the others are found first.
  for (auto at = lists.rbegin(); at != lists.rend(); ++at) {
    const List& list = *at;
    if (!packer.pack(list.name, list.images, list.shuffled)) {
      fmt::print("interrupted; the same command continues after the last complete shard\n");
      return interrupt.exit_code();
    }
    if (list.name == std::string_view("valid") && !data.difficult.empty())
      require_kept_names(o, list, packer);
  }
  for (const Written& w : of_classes) write_new(o, w);
  write_new(o, {packed, packed_data_text(o, data, lists, packer, classifier)});
  packer.finish();
  for (const List& list : lists) print(list, packer);
  fmt::print("-> {}\n", printable(packed.string()));
  return 0;
}

}  // namespace

void add_data_pack(Program& program) {
  const Command command =
      program.command("data pack", "write a data set as tar shards in WebDataset's layout");
  command.footer(
      "Images and label files go into OUT/train-000000.tar ..., valid-000000.tar ... under one key "
      "each; OUT/shards.sha256 has their checksums (`darknet data check`, `sha256sum -c` and every "
      "training compare), and a .data file names them. Training images are shuffled, the order of "
      "others is kept. After an interruption the same command continues after the last complete "
      "shard (docs/data.md).");
  auto& o = command.options<DataPackArguments>();
  data_argument(command, o.data).required();
  command.argument("out", o.out, "the folder to write").required();
  command.option("-shard_mb", o.shard_mb, "largest size of a shard in MiB")
      .integer_in(1, 1 << 20)
      .show_default();
  command.flag("-classifier", o.classifier,
               "a set for classifier train: .cls files with the number of the class (implied by "
               "labels=)");
  add_seed(command, "of the order of training images (1)",
           [&o](std::uint64_t seed) { o.seed = seed; });
  command.runs([&o] { return run(o); });
}

}  // namespace darknet::cli
