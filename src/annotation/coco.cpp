// COCO: JSON files with images, annotations and categories. Categories get consecutive numbers in
// the order of their ids. Crowds (iscrowd) are difficult objects.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "annotation/formats.h"
#include "annotation/set_builder.h"
#include "core/file.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxJson = std::uint64_t{1} << 32;
constexpr std::streamsize kBeginning = 1 << 16;
constexpr int kMaxDepth = 64;

// By how it begins: these files have some of their lists near the start.
bool is_coco(const fs::path& path) try {
  InputFile in(path, kMaxJson);
  std::string beginning(static_cast<std::size_t>(kBeginning), '\0');
  in.read(beginning.data(), kBeginning);
  beginning.resize(static_cast<std::size_t>(in.gcount()));
  const auto holds = [&](const char* key) { return beginning.find(key) != beginning.npos; };
  return trim(beginning).starts_with('{') &&
         (holds("\"images\"") || holds("\"annotations\"") || holds("\"categories\""));
} catch (const Error&) {
  return false;
}

// Outlines are most of a file, and nothing here needs them.
json parse_without_outlines(const fs::path& path) {
  const auto keep = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) fail_at({path.string(), 0}, "nested too deeply");
    return event != json::parse_event_t::key || value != "segmentation";
  };
  try {
    return json::parse(read_file(path, kMaxJson), keep);
  } catch (const json::exception& e) {
    fail_at({path.string(), 0}, "malformed JSON: ", shown(e.what()));
  }
}

class CocoFile {
 public:
  CocoFile(fs::path path, json root) : path_(std::move(path)), root_(std::move(root)) {
    for (const char* key : {"images", "annotations", "categories"})
      if (!root_.is_object() || !root_.contains(key) || !root_[key].is_array())
        refuse("'", key, "' is not a list; is this a file of instances?");
  }

  template <class... A>
  [[noreturn]] void refuse(const A&... a) const {
    fail_at({path_.string(), 0}, a...);
  }
  const fs::path& path() const { return path_; }
  const json& rows(const char* key) const { return root_[key]; }
  Where where(const char* what, const json& row) const {
    return {cat(path_.string(), ": ", what, " ", row.value("id", std::int64_t{-1})), 0};
  }
  std::int64_t id(const char* what, const json& row, const char* key = "id") const {
    if (!row.is_object() || !row.contains(key) || !row[key].is_number_integer())
      refuse(what, " without an integer as its ", key);
    return row[key].get<std::int64_t>();
  }
  std::string text(const char* what, const json& row, const char* key) const {
    if (!row.contains(key) || !row[key].is_string())
      fail_at(where(what, row), key, " is not a text");
    return row[key].get<std::string>();
  }
  double number(const char* what, const json& row, const char* key) const {
    if (!row.contains(key) || !row[key].is_number())
      fail_at(where(what, row), key, " is not a number");
    return row[key].get<double>();
  }

 private:
  fs::path path_;
  json root_;
};

// Id -> name. Roboflow's files begin with a category of no object, of which the others are parts.
std::map<std::int64_t, std::string> categories_of(const CocoFile& file) {
  std::map<std::int64_t, std::string> names;
  std::set<std::string> parents;
  std::set<std::int64_t> used;
  for (const json& row : file.rows("annotations"))
    if (row.is_object() && row.contains("category_id") && row["category_id"].is_number_integer())
      used.insert(row["category_id"].get<std::int64_t>());
  for (const json& row : file.rows("categories")) {
    const std::int64_t id = file.id("a category", row);
    if (!names.emplace(id, file.text("category", row, "name")).second)
      file.refuse("the category ", id, " is there twice");
    if (row.contains("supercategory") && row["supercategory"].is_string())
      parents.insert(row["supercategory"].get<std::string>());
  }
  if (const auto first = names.begin();
      names.size() > 1 && first->first == 0 && !used.contains(0) && parents.contains(first->second))
    names.erase(first);
  return names;
}

std::string split_of(const SourceFolder& folder, const fs::path& path) {
  std::string name = path.stem().string();
  if (name.starts_with("_annotations"))
    return folder.split_of(path);  // Roboflow: TRAIN/_annotations.coco.json
  if (const auto dash = name.rfind('_'); dash != name.npos) name = name.substr(dash + 1);
  return name;
}

class CocoReader {
 public:
  CocoReader(const SourceFolder& folder, const std::vector<std::string>& names)
      : folder_(folder), set_(names) {}

  AnnotatedSet read() {
    std::vector<fs::path> files;
    for (const fs::path& path : folder_.with_extension(".json"))
      if (is_coco(path)) files.push_back(path);
    // Next to captions and keypoints of the same images, the instances are meant.
    const auto is_instances = [](const fs::path& p) {
      return p.stem().string().starts_with("instances");
    };
    if (std::ranges::any_of(files, is_instances))
      std::erase_if(files, [&](const fs::path& p) { return !is_instances(p); });
    for (const fs::path& path : files) read_file(CocoFile(path, parse_without_outlines(path)));
    return set_.finish();
  }

 private:
  void read_file(const CocoFile& file) {
    const auto categories = categories_of(file);
    std::vector<std::string> names;
    for (const auto& [id, name] : categories) names.push_back(name);
    set_.define_classes(names, {file.path().string(), 0});
    const auto images = read_images(file);
    if (!set_.sound()) return;  // annotations of images that are lacking would be called wrong too
    for (const json& row : file.rows("annotations"))
      set_.attempt([&] { read_annotation(file, row, images, categories); });
  }

  using Images = std::map<std::int64_t, std::size_t>;  // id -> place
  Images read_images(const CocoFile& file) {
    Images places;
    const std::string split = split_of(folder_, file.path());
    for (const json& row : file.rows("images"))
      set_.attempt([&] { read_image(file, row, split, places); });
    return places;
  }

  void read_image(const CocoFile& file, const json& row, const std::string& split, Images& places) {
    const std::int64_t id = file.id("an image", row);
    const std::string name = file.text("image", row, "file_name");
    const ImageSize size{static_cast<std::int64_t>(file.number("image", row, "width")),
                         static_cast<std::int64_t>(file.number("image", row, "height"))};
    if (size.width < 1 || size.height < 1)
      fail_at(file.where("image", row), "expected width and height in pixels");
    const auto image = find(file, name, split);
    if (!image)
      fail_at(file.where("image", row), "there is no image '", shown(name), "' in ",
              folder_.root().string());
    if (!places.emplace(id, set_.add_image(*image, folder_.name_of(*image), size)).second)
      file.refuse("the image ", id, " is there twice");
    if (!split.empty()) set_.add_to_split(split, places[id]);
  }

  // Images of COCO lie in folders that are called as the splits: train2017/, val2017/.
  std::optional<fs::path> find(const CocoFile& file, const std::string& name,
                               const std::string& split) const {
    for (const fs::path& base : {folder_.root() / split, folder_.root() / "images" / split})
      if (fs::path image = (base / name).lexically_normal(); !split.empty() && is_present(image))
        return image;
    return folder_.image(file.path().parent_path(), name);
  }

  void read_annotation(const CocoFile& file, const json& row, const Images& images,
                       const std::map<std::int64_t, std::string>& categories) {
    const auto image = images.find(file.id("an annotation", row, "image_id"));
    const auto category = categories.find(file.id("an annotation", row, "category_id"));
    const Where where = file.where("annotation", row);
    if (image == images.end())
      fail_at(where, "image_id ", row["image_id"].dump(), " is not an image of the file");
    if (category == categories.end())
      fail_at(where, "category_id ", row["category_id"].dump(), " is not a category of the file");
    const json box = row.value("bbox", json());
    if (!box.is_array() || box.size() != 4 ||
        !std::ranges::all_of(box, [](const json& v) { return v.is_number(); }))
      fail_at(where, "bbox is not a list of x, y, width and height");
    const double x = box[0].get<double>(), y = box[1].get<double>();
    const bool crowd = row.contains("iscrowd") && row["iscrowd"] == 1;
    set_.add_object(image->second, category->second,
                    {x, y, x + box[2].get<double>(), y + box[3].get<double>()}, where, crowd);
  }

  const SourceFolder& folder_;
  SetBuilder set_;
};

}  // namespace

bool found_coco(const SourceFolder& folder) {
  return std::ranges::any_of(folder.with_extension(".json"), is_coco);
}

AnnotatedSet read_coco(const SourceFolder& folder, const std::vector<std::string>& names) {
  return CocoReader(folder, names).read();
}

}  // namespace darknet
