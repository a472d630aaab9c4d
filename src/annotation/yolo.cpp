// Text files of fractions next to images or in labels/, as Darknet, Ultralytics, LabelImg, Roboflow
// and CVAT write them. Names come from a .yaml or .data file, or from a file of names.
#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "annotation/formats.h"
#include "annotation/set_builder.h"
#include "cfg/data_file.h"
#include "core/file_format.h"
#include "core/index.h"
#include "core/input.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxLabels = 64u << 20;
constexpr double kMaxFraction = 2;  // of boxes that reach out of the image

std::vector<std::string> words_of(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// "class x y w h", or "class x1 y1 x2 y2 x3 y3 ...": the outline of Ultralytics' segmentation.
bool is_label_line(const std::vector<std::string>& words) {
  std::int64_t id = 0;
  double ignored = 0;
  return (words.size() == 5 || (words.size() >= 7 && words.size() % 2 == 1)) &&
         read_number(words[0], id) && id >= 0 &&
         std::all_of(words.begin() + 1, words.end(),
                     [&](const std::string& w) { return read_number(w, ignored); });
}

bool is_label_file(const fs::path& path) try {
  InputFile in(path, kMaxLabels);
  LineReader reader(in, path.string());
  std::string_view line;
  return reader.next(line) && is_label_line(words_of(line));
} catch (const Error&) {
  return false;
}

// Other programs' YAML may lie in the folder too.
bool describes_data(const fs::path& yaml) {
  if (yaml.stem() == "data") return true;
  try {
    const DataFile data = read_data_file(yaml);
    return !data.train.empty() && data.classes > 0;
  } catch (const Error&) {
    return false;
  }
}

std::vector<fs::path> description_files(const SourceFolder& folder) {
  std::vector<fs::path> files = folder.with_extension(".data");
  for (const char* extension : {".yaml", ".yml"})
    for (const fs::path& path : folder.with_extension(extension))
      if (describes_data(path)) files.push_back(path);
  return files;
}

class YoloReader {
 public:
  YoloReader(const SourceFolder& folder, std::vector<std::string> names)
      : folder_(folder), given_(std::move(names)), set_(given_) {}

  AnnotatedSet read() {
    const auto described = description_files(folder_);
    if (described.size() > 1)
      fail_at({described[1].string(), 0}, "describes this data set too, as ", described[0].string(),
              " does; remove one");
    if (described.empty())
      read_folder();
    else
      read_described(described.front());
    return set_.finish();
  }

 private:
  void read_described(const fs::path& path) {
    const DataFile data = read_data_file(path);
    if (!data.names.empty()) {
      const fs::path names = located(data.names);
      define(read_names(names, data.classes), names);
    }
    if (names_.empty()) read_names_files();
    for (const auto& [split, list] : {std::pair{"train", data.train}, {"valid", data.valid}})
      if (!list.empty()) read_list(split, located(list));
  }

  void read_list(const std::string& split, const fs::path& list) {
    const ImagePaths images = read_image_list(list);
    for (std::size_t i = 0; i < images.size(); ++i)
      if (const fs::path image = located(images[i]); is_present(image))
        add_to(split, image);
      else
        set_.attempt([&] {
          if (const auto missing = missing_image(images, i)) throw Error(*missing);
          fail_at({image.string(), 0}, "no such image");
        });
  }

  // A path of a .data file or list: in this folder before the working folder, where files of other
  // sets may lie. CVAT begins each with data/, where Darknet would have the folder that CVAT
  // exports.
  fs::path located(const fs::path& path) const {
    const fs::path& root = folder_.root();
    for (const fs::path& inner :
         {path, path.lexically_relative("data"), path.lexically_relative(root / "data")})
      if (inner.is_relative() && !inner.empty() && *inner.begin() != ".." &&
          is_present(root / inner))
        return root / inner;
    return path;
  }

  void read_folder() {
    read_names_files();
    for (const fs::path& file : folder_.files())
      if (is_image_name(file.native())) add_to(folder_.split_of(file), file);
  }

  // LabelImg's classes.txt, CVAT's obj.names, any *.names.
  void read_names_files() {
    std::vector<fs::path> files = folder_.with_extension(".names");
    for (const fs::path& file : folder_.with_extension(".txt"))
      if (file.filename() == "classes.txt") files.push_back(file);
    std::vector<std::string> first;
    for (const fs::path& file : files) {
      const std::vector<std::string> names = read_names(file, 0);
      if (!first.empty() && names != first)
        fail_at({file.string(), 0}, "has other names than ", files.front().string(),
                "; say which are meant with -names");
      first = names;
    }
    if (!first.empty()) define(first, files.front());
  }

  void define(const std::vector<std::string>& names, const fs::path& file) {
    names_ = names;
    set_.define_classes(names, {file.string(), 0});
  }

  void add_to(const std::string& split, const fs::path& file) {
    const fs::path name = folder_.name_of(file.lexically_normal());
    const fs::path place = name.string().starts_with("..") ? file.filename() : name;
    std::error_code unknown;  // one image, however its path is written
    const fs::path whole =
        fs::weakly_canonical(fs::absolute(file).parent_path(), unknown) / file.filename();
    auto known = places_.find(whole.string());
    if (known == places_.end()) known = places_.emplace(whole.string(), add(file, place)).first;
    if (!split.empty()) set_.add_to_split(split, known->second);
  }

  std::size_t add(const fs::path& file, const fs::path& place) {
    const std::size_t image = set_.add_image(file, place, {});
    const fs::path labels = label_path(file);
    if (!is_present(labels)) {
      set_.count("images without a label file taken as images without objects", {file.string(), 0});
      return image;
    }
    InputFile in(labels, kMaxLabels);
    LineReader reader(in, labels.string());
    for (std::string_view line; reader.next(line);) {
      if (line.empty()) continue;
      const Where where{labels.string(), reader.number()};
      if (names().empty()) {
        set_.attempt([&] {
          fail_at(where,
                  "the names of the classes are unknown: no data.yaml, .data, .names or "
                  "classes.txt was found; give -names");
        });
        set_.finish();  // throws this and the errors before it: all other lines would say the same
      }
      set_.attempt([&] { add_line(image, words_of(line), where); });
    }
    return image;
  }

  void add_line(std::size_t image, const std::vector<std::string>& words, const Where& where) {
    if (!is_label_line(words))
      fail_at(where,
              "expected class, x, y, width and height in fractions of the image, or class "
              "and the points of an outline");
    std::vector<double> values;
    for (std::size_t i = 1; i < words.size(); ++i) {
      values.push_back(finite_number(words[i], "a fraction", where));
      if (std::abs(values.back()) > kMaxFraction)
        fail_at(where, shown(words[i]),
                " is no fraction of the image: divide pixels by its width and height");
    }
    if (values.size() == 4) {
      const auto [x, y, w, h] = std::array{values[0], values[1], values[2], values[3]};
      return set_.add_fractions(image, class_name(words[0], where),
                                {x - w / 2, y - h / 2, x + w / 2, y + h / 2}, where);
    }
    Corners box{values[0], values[1], values[0], values[1]};
    for (std::size_t i = 0; i < values.size(); i += 2) {
      box.left = std::min(box.left, values[i]), box.right = std::max(box.right, values[i]);
      box.top = std::min(box.top, values[i + 1]), box.bottom = std::max(box.bottom, values[i + 1]);
    }
    set_.count("outlines replaced by the boxes around them", where);
    set_.add_fractions(image, class_name(words[0], where), box, where);
  }

  std::string class_name(const std::string& number, const Where& where) const {
    std::int64_t id = 0;
    read_number(number, id);
    if (id >= std::ssize(names()))
      fail_at(where, "class ", id, ", of ", plural(std::ssize(names()), "name"));
    return names()[to_size(id)];
  }

  const std::vector<std::string>& names() const { return names_.empty() ? given_ : names_; }

  const SourceFolder& folder_;
  std::vector<std::string> given_, names_;
  SetBuilder set_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace

bool found_yolo(const SourceFolder& folder) {
  if (!description_files(folder).empty()) return true;
  return std::ranges::any_of(folder.files(), [](const fs::path& file) {
    return is_image_name(file.native()) && is_label_file(label_path(file));
  });
}

AnnotatedSet read_yolo(const SourceFolder& folder, const std::vector<std::string>& names) {
  return YoloReader(folder, names).read();
}

}  // namespace darknet
