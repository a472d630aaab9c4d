// CSV files with a line for each box: TensorFlow's and Roboflow's (filename, width, height, class,
// xmin, ...), Open Images' (ImageID, LabelName, XMin, ... in fractions), and RetinaNet's without a
// header (path, x1, y1, x2, y2, class; empty columns for an image without objects).
#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "annotation/formats.h"
#include "annotation/set_builder.h"
#include "core/index.h"
#include "core/input.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/image_sizes.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxCsv = std::uint64_t{1} << 34;
constexpr std::size_t kNone = SIZE_MAX;

// RFC 4180 within a line.
std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      cells.back() += line[i++];
    else if (line[i] == '"')
      quoted = !quoted;
    else if (line[i] == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += line[i];
  }
  for (std::string& cell : cells) cell = trim(cell);
  return cells;
}

// Where each thing stands in a line.
struct Columns {
  std::size_t file = kNone, label = kNone, width = kNone, height = kNone, group = kNone;
  std::array<std::size_t, 4> box{kNone, kNone, kNone, kNone};  // left, top, right, bottom
  bool header = true;
  bool fractions = false;  // Open Images
};

std::size_t column_of(const std::vector<std::string>& header,
                      std::initializer_list<std::string_view> names) {
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (std::ranges::find(names, lower_case(header[i])) != names.end()) return i;
  }
  return kNone;
}

bool is_box_without_header(const std::vector<std::string>& cells) {
  if (cells.size() != 6 || cells[0].empty()) return false;
  const auto begin = cells.begin() + 1, end = cells.begin() + 5;
  double ignored = 0;
  return std::all_of(begin, end, [&](const std::string& c) { return read_number(c, ignored); }) ||
         std::all_of(begin, cells.end(), [](const std::string& c) { return c.empty(); });
}

// None: no CSV of boxes.
std::optional<Columns> columns_of(const std::vector<std::string>& first) {
  if (is_box_without_header(first)) return Columns{0, 5, kNone, kNone, kNone, {1, 2, 3, 4}, false};
  Columns c;
  c.file = column_of(first, {"filename", "file", "file_name", "image", "image_path", "path",
                             "image_id", "imageid"});
  c.label = column_of(first, {"class", "label", "name", "class_name", "category", "labelname"});
  c.width = column_of(first, {"width"});
  c.height = column_of(first, {"height"});
  c.group = column_of(first, {"isgroupof"});
  c.box = {column_of(first, {"xmin", "x1", "x_min"}), column_of(first, {"ymin", "y1", "y_min"}),
           column_of(first, {"xmax", "x2", "x_max"}), column_of(first, {"ymax", "y2", "y_max"})};
  c.fractions = column_of(first, {"imageid"}) != kNone && column_of(first, {"labelname"}) != kNone;
  if (c.file == kNone || c.label == kNone || std::ranges::count(c.box, kNone) > 0)
    return std::nullopt;
  return c;
}

std::optional<Columns> columns_of_file(const fs::path& path) try {
  InputFile in(path, kMaxCsv);
  LineReader reader(in, path.string());
  std::string_view line;
  return reader.next(line) ? columns_of(cells_of(line)) : std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

// "/m/01g317" -> "Person", from Open Images' class-descriptions-*.csv.
std::map<std::string, std::string> described_classes(const SourceFolder& folder) {
  std::map<std::string, std::string> names;
  for (const fs::path& path : folder.with_extension(".csv")) {
    if (!path.filename().string().starts_with("class-descriptions")) continue;
    InputFile in(path, kMaxCsv);
    LineReader reader(in, path.string());
    for (std::string_view line; reader.next(line);)
      if (const auto cells = cells_of(line); cells.size() == 2) names.emplace(cells[0], cells[1]);
  }
  return names;
}

class CsvReader {
 public:
  CsvReader(const SourceFolder& folder, const std::vector<std::string>& names)
      : folder_(folder), set_(names), described_(described_classes(folder)) {}

  AnnotatedSet read() {
    fs::path other;  // without columns of boxes
    bool found = false;
    for (const fs::path& path : folder_.with_extension(".csv"))
      if (const auto columns = columns_of_file(path)) {
        found = true;
        read_file(path, *columns);
      } else {
        other = path;
      }
    if (!found && !other.empty())
      fail_at({other.string(), 1},
              "expected the names of columns, with commas between: filename, class, xmin, ymin, "
              "xmax, ymax");
    return set_.finish();
  }

 private:
  void read_file(const fs::path& path, const Columns& columns) {
    InputFile in(path, kMaxCsv);
    LineReader reader(in, path.string());
    std::string_view line;
    std::size_t width = 0;
    for (bool first = true; reader.next(line); first = false) {
      const std::vector<std::string> cells = cells_of(line);
      if (first) width = cells.size();
      if ((first && columns.header) || line.empty()) continue;
      const Where where{path.string(), reader.number()};
      set_.attempt([&] {
        if (cells.size() != width)
          fail_at(where, "has ", plural(std::ssize(cells), "column"), ", the first line ", width);
        read_line(path, columns, cells, where);
      });
    }
  }

  void read_line(const fs::path& path, const Columns& c, const std::vector<std::string>& cells,
                 const Where& where) {
    const std::size_t image = image_of(path, c, cells, where);
    const std::string& label = cells[c.label];
    if (label.empty() && cells[c.box[0]].empty()) return;  // an image without objects
    const auto value = [&](std::size_t i, std::int64_t scale) {
      return finite_number(cells[c.box[i]], kSides[i], where) *
             (c.fractions ? static_cast<double>(scale) : 1.);
    };
    const ImageSize size = sizes_.at(image);
    const Corners box{value(0, size.width), value(1, size.height), value(2, size.width),
                      value(3, size.height)};
    const auto described = described_.find(label);
    set_.add_object(image, described == described_.end() ? label : described->second, box, where,
                    c.group != kNone && cells[c.group] == "1");
  }

  std::size_t image_of(const fs::path& path, const Columns& c,
                       const std::vector<std::string>& cells, const Where& where) {
    const std::string& name = cells[c.file];
    const auto known = places_.find({path, name});
    if (known != places_.end()) return known->second;
    const auto file = folder_.image(path.parent_path(), name);
    if (!file) fail_at(where, "there is no image '", shown(name), "' in ", folder_.root().string());
    ImageSize size = image_size_of(*file);
    if (c.width != kNone && c.height != kNone) {
      const double w = finite_number(cells[c.width], "width", where);
      const double h = finite_number(cells[c.height], "height", where);
      if (w >= 1 && h >= 1) size = {static_cast<std::int64_t>(w), static_cast<std::int64_t>(h)};
    }
    const std::size_t image = set_.add_image(*file, folder_.name_of(*file), size);
    std::string split = folder_.split_of(*file);
    if (split.empty()) split = split_in_name(path);
    if (!split.empty()) set_.add_to_split(split, image);
    sizes_.emplace(image, size);
    return places_.emplace(std::pair{path, name}, image).first->second;
  }

  // "train_labels.csv", "validation-annotations-bbox.csv"
  static std::string split_in_name(const fs::path& path) {
    const std::string name = path.stem().string();
    for (const char* split : {"train", "validation", "valid", "val", "test"})
      if (name.starts_with(split)) return split;
    return "";
  }

  static constexpr std::array<const char*, 4> kSides = {"xmin", "ymin", "xmax", "ymax"};
  const SourceFolder& folder_;
  SetBuilder set_;
  std::map<std::string, std::string> described_;
  std::map<std::pair<fs::path, std::string>, std::size_t> places_;  // by CSV file and image name
  std::map<std::size_t, ImageSize> sizes_;
};

}  // namespace

bool found_csv(const SourceFolder& folder) {
  return std::ranges::any_of(folder.with_extension(".csv"),
                             [](const fs::path& p) { return columns_of_file(p).has_value(); });
}

AnnotatedSet read_csv(const SourceFolder& folder, const std::vector<std::string>& names) {
  return CsvReader(folder, names).read();
}

}  // namespace darknet
