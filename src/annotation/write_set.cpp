#include "annotation/write_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/data_set_files.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr const char* kRecord = "import.json";
constexpr const char* kFiles = "import.files";  // the paths of all others, a line each
constexpr std::uint64_t kMaxMark = 1u << 20, kMaxFiles = std::uint64_t{1} << 32;

// The last part of OUT, of which the files are called.
std::string name_of(const fs::path& out) {
  const fs::path whole = whole_path(out);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

fs::path data_file_of(const fs::path& out) { return out / (name_of(out) + ".data"); }

std::string label_text(const AnnotatedImage& image, bool difficult) {
  std::string text;
  for (const AnnotatedObject& o : image.objects)
    if (o.difficult == difficult)
      text += fmt::format("{} {:.8f} {:.8f} {:.8f} {:.8f}\n", o.class_id, o.x, o.y, o.w, o.h);
  return text;
}

bool same_bytes(const fs::path& a, const fs::path& b) {
  constexpr std::uint64_t kMaxImage = std::uint64_t{1} << 32;
  std::error_code error;
  return fs::file_size(a, error) == fs::file_size(b, error) &&
         read_file(a, kMaxImage) == read_file(b, kMaxImage);
}

void place_image(const fs::path& source, const fs::path& target, bool copy) {
  std::error_code error;
  if (fs::is_symlink(target, error)) {
    remove_file(target);
  } else if (is_present(target)) {
    if (same_bytes(source, target)) return;
    fail_at({target.string(), 0}, "is another image than ", source.string(),
            ", which would be written here; remove this file");
  }
  make_folder(target.parent_path());
  if (copy)
    fs::copy_file(source, target, error);
  else
    fs::create_symlink(whole_path(source), target, error);
  if (error)
    fail(target.string(), copy ? ": cannot copy " : ": cannot link to ", source.string(), ": ",
         error.message(), copy ? "" : "; -copy copies the images");
}

bool lies_below(const fs::path& path, const fs::path& folder) {
  const fs::path inner = path.lexically_relative(folder);
  return !inner.empty() && *inner.begin() != "..";
}

// A replaced import removes its files before new ones are placed, and a copy may be the only one.
void require_images_elsewhere(const AnnotatedSet& set, const fs::path& out) {
  if (!is_present(out / kRecord)) return;
  std::error_code unknown;
  const fs::path folder = fs::weakly_canonical(fs::absolute(out), unknown);
  for (const AnnotatedImage& image : set.images) {
    const fs::path whole = fs::absolute(image.file);
    const fs::path place = fs::weakly_canonical(whole.parent_path(), unknown) / whole.filename();
    if (lies_below(place, folder) || lies_below(fs::weakly_canonical(whole, unknown), folder))
      fail_at({image.file.string(), 0}, "this image lies in ", out.string(),
              ", whose earlier import would be replaced, and the image with it; give another "
              "folder");
  }
}

class Writer {
 public:
  Writer(const AnnotatedSet& set, const WriteSetOptions& o)
      : set_(set), o_(o), aside_(o.out / "difficult") {
    for (const AnnotatedImage& image : set.images)
      has_difficult_ |= std::ranges::any_of(image.objects, &AnnotatedObject::difficult);
  }

  fs::path write() const {
    fs::path data = data_file_of(o_.out);
    const fs::path names = fs::path(data).replace_extension(".names");
    remove_file(data);
    write_file_atomically(o_.out / kRecord, dump_json(mark(), 2) + "\n");
    replace_files();
    write_images();
    for (const AnnotatedSplit& split : set_.splits) write_split(split);
    std::string lines;
    for (const std::string& name : set_.classes) lines += name + "\n";
    write_file_atomically(names, lines);
    write_file_atomically(data, data_text(names));
    return data;
  }

 private:
  nlohmann::json mark() const {
    return {{"source", o_.source.string()},  // no "images", by which COCO's files are known
            {"image_count", set_.images.size()},
            {"classes", set_.classes}};
  }

  // Below OUT.
  std::set<std::string> files() const {
    std::set<std::string> all;
    const auto add = [&](const fs::path& folder) {
      for (const AnnotatedImage& image : set_.images)
        all.insert((folder / "labels" / fs::path(image.name).replace_extension(".txt")).string());
      for (const AnnotatedSplit& split : set_.splits)
        all.insert(list_in(folder, split.name).string());
    };
    add("");
    if (has_difficult_) add(aside_.filename());
    for (const AnnotatedImage& image : set_.images)
      all.insert((fs::path("images") / image.name).string());
    return all;
  }

  // What an earlier import wrote and this one does not goes.
  void replace_files() const {
    const std::set<std::string> now = files();
    if (is_present(o_.out / kFiles)) {
      InputFile in(o_.out / kFiles, kMaxFiles);
      LineReader reader(in, (o_.out / kFiles).string());
      for (std::string_view line; reader.next(line);) {
        const fs::path file = line;
        const bool outside = file.is_absolute() ||
                             std::ranges::any_of(file, [](const fs::path& p) { return p == ".."; });
        if (!outside && !now.contains(file.string())) remove_file(o_.out / file);
      }
    }
    std::string lines;
    for (const std::string& file : now) lines += file + "\n";
    write_file_atomically(o_.out / kFiles, lines);
  }

  void write_images() const {
    log::Progress progress("writing", std::ssize(set_.images));
    for (std::size_t i = 0; i < set_.images.size(); ++i) {
      const AnnotatedImage& image = set_.images[i];
      const fs::path label = fs::path(image.name).replace_extension(".txt");
      place_image(image.file, o_.out / "images" / image.name, o_.copy);
      write_text(o_.out / "labels" / label, label_text(image, false));
      if (has_difficult_) write_text(aside_ / "labels" / label, label_text(image, true));
      progress.at(static_cast<std::int64_t>(i) + 1);
    }
  }
  static void write_text(const fs::path& file, const std::string& text) {
    make_folder(file.parent_path());
    write_file_atomically(file, text);
  }

  void write_split(const AnnotatedSplit& split) const {
    write_list(o_.out, split);
    if (has_difficult_) write_list(aside_, split);
  }
  void write_list(const fs::path& folder, const AnnotatedSplit& split) const {
    std::vector<fs::path> images;
    for (const std::size_t i : split.images)
      images.push_back(folder / "images" / set_.images[i].name);
    write_image_list(list_in(folder, split.name), images);
  }
  static fs::path list_in(const fs::path& folder, const std::string& split) {
    return folder / (split + ".txt");
  }

  std::string data_text(const fs::path& names) const {
    DataFile data;
    data.classes = std::ssize(set_.classes);
    if (!o_.train.empty()) data.train = list_in(o_.out, o_.train);
    if (!o_.valid.empty()) data.valid = list_in(o_.out, o_.valid);
    if (!o_.valid.empty() && has_difficult_) data.difficult = list_in(aside_, o_.valid);
    data.names = names;
    data.backup = o_.out / "backup";
    return darknet::data_text(data);
  }

  const AnnotatedSet& set_;
  const WriteSetOptions& o_;
  fs::path aside_;
  bool has_difficult_ = false;
};

}  // namespace

void require_import_folder(const WriteSetOptions& o) {
  std::error_code error;
  const fs::path source = fs::weakly_canonical(o.source, error);
  if (lies_below(fs::weakly_canonical(o.out, error), source))
    fail_at({o.out.string(), 0}, "lies in the data set that is read; give a folder elsewhere");
  if (is_present(o.out)) {
    if (!is_folder(o.out)) fail_at({o.out.string(), 0}, "this is not a folder");
    const bool imported = is_present(o.out / kRecord);
    if (!imported && !entries_of(o.out).empty())
      fail_at({o.out.string(), 0}, "this folder is not empty and holds no earlier import (no ",
              kRecord, "); give another one");
    if (imported && !o.replace && is_present(data_file_of(o.out))) {
      const nlohmann::json mark = parse_json(read_file(o.out / kRecord, kMaxMark), false);
      const std::string source =
          mark.is_object() && mark.contains("source") && mark["source"].is_string()
              ? cat(" of ", printable(mark["source"].get<std::string>()))
              : "";
      fail_at({o.out.string(), 0}, "holds an import", source, " already; -force replaces it");
    }
  }
  require_writable_folder(o.out);
}

fs::path write_set(const AnnotatedSet& set, const WriteSetOptions& o) {
  require_import_folder(o);
  require_images_elsewhere(set, o.out);
  return Writer(set, o).write();
}

}  // namespace darknet
