// Pascal VOC: an XML file for each image, as the VOC challenges, LabelImg and Roboflow write them.
// VOC counts pixels from 1 and its boxes include their last pixel: a box covers xmin-1 to xmax.
#include <algorithm>
#include <map>

#include "annotation/formats.h"
#include "annotation/set_builder.h"
#include "annotation/xml_file.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/text.h"
#include "dataset/image_sizes.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxList = std::uint64_t{1} << 28;

bool is_voc(const fs::path& xml) { return begins_with_element(xml, "annotation"); }

// ROOT of ROOT/ImageSets/Main/LIST.txt; empty for other files.
fs::path root_of_list(const fs::path& file) {
  const fs::path folder = file.parent_path();
  const bool listed = file.extension() == ".txt" && folder.filename() == "Main" &&
                      folder.parent_path().filename() == "ImageSets";
  return listed ? folder.parent_path().parent_path() : fs::path();
}

class VocReader {
 public:
  VocReader(const SourceFolder& folder, const std::vector<std::string>& names)
      : folder_(folder), set_(names) {}

  AnnotatedSet read() {
    bool listed = false;
    for (const fs::path& file : folder_.files())
      if (const fs::path root = root_of_list(file); !root.empty()) {
        listed = true;
        read_list(root, file);
      }
    for (const fs::path& xml : folder_.with_extension(".xml")) {
      if (places_.contains(xml)) continue;
      if (!is_voc(xml)) {
        if (!listed) require_no_annotation(xml);
        continue;
      }
      if (listed) {
        set_.count("annotations left out that no list of ImageSets names", {xml.string(), 0});
        continue;
      }
      set_.attempt([&] {
        const std::size_t image = image_of(xml);
        if (const std::string split = folder_.split_of(xml); !split.empty())
          set_.add_to_split(split, image);
      });
    }
    if (!listed) note_images_without_annotation();
    return set_.finish();
  }

 private:
  // Lists of two columns say in which images a class is: they are no splits.
  void read_list(const fs::path& root, const fs::path& list) {
    InputFile in(list, kMaxList);
    LineReader reader(in, list.string());
    std::vector<std::pair<std::string, int>> ids;
    for (std::string_view line; reader.next(line);) {
      if (line.find_first_of(" \t") != line.npos)
        return set_.count("lists of one class left out", {list.string(), 0});
      if (!line.empty()) ids.emplace_back(line, reader.number());
    }
    for (const auto& listed : ids)
      set_.attempt([&] {
        const fs::path xml = root / "Annotations" / (listed.first + ".xml");
        if (!is_present(xml))
          fail_at({list.string(), listed.second}, "there is no annotation ", xml.string());
        set_.add_to_split(list.stem().string(), image_of(xml));
      });
  }

  // A damaged annotation begins like none, and is named like its image.
  void require_no_annotation(const fs::path& xml) const {
    const auto is_its_image = [&](const fs::path& file) {
      return is_image_name(file.native()) && file.stem() == xml.stem() &&
             (file.parent_path() == xml.parent_path() ||
              file.parent_path().parent_path() == xml.parent_path().parent_path());
    };
    if (std::ranges::any_of(folder_.files(), is_its_image))
      fail_at(
          {xml.string(), 0},
          "is named like an image and does not begin with <annotation>; repair it or remove it");
  }

  std::size_t image_of(const fs::path& xml) {
    if (const auto at = places_.find(xml); at != places_.end()) return at->second;
    return places_.emplace(xml, read_annotation(xml)).first->second;
  }

  std::size_t read_annotation(const fs::path& path) {
    const XmlFile xml(path, "annotation");
    const auto file = file_of(xml, path);
    const std::size_t image = set_.add_image(file, folder_.name_of(file), size_of(xml, file));
    for (const pugi::xml_node& object : xml.root().children("object"))
      set_.attempt([&] { read_object(xml, object, image); });
    return image;
  }

  void read_object(const XmlFile& xml, const pugi::xml_node& object, std::size_t image) {
    const pugi::xml_node box = object.child("bndbox");
    const Where where = xml.where(object);
    if (!box) fail_at(where, "<object> without <bndbox>");
    const double right = xml.number(box, "xmax"), bottom = xml.number(box, "ymax");
    const double left = xml.number(box, "xmin"), top = xml.number(box, "ymin");
    const bool empty = right <= left || bottom <= top;
    const Corners covered = empty ? Corners{} : Corners{left - 1, top - 1, right, bottom};
    set_.add_object(image, xml.text(object, "name"), covered, where,
                    object.child("difficult").text().as_int() != 0);
  }

  fs::path file_of(const XmlFile& xml, const fs::path& path) const {
    if (const auto image = folder_.image(path.parent_path(), path.stem().string())) return *image;
    const std::string named = xml.root().child_value("filename");
    if (!named.empty())
      if (const auto image = folder_.image(path.parent_path(), fs::path(named).filename().string()))
        return *image;
    fail_at({path.string(), 0}, "there is no image '", path.stem().string(), ".*'",
            named.empty() ? "" : cat(" and no '", shown(named), "'"), " in ",
            folder_.root().string());
  }

  // Some tools write no size, or 0.
  static ImageSize size_of(const XmlFile& xml, const fs::path& image) {
    const pugi::xml_node size = xml.root().child("size");
    if (size) {
      const double width = xml.number(size, "width"), height = xml.number(size, "height");
      if (width >= 1 && height >= 1)
        return {static_cast<std::int64_t>(width), static_cast<std::int64_t>(height)};
    }
    return image_size_of(image);
  }

  void note_images_without_annotation() {
    for (const fs::path& file : folder_.files())
      if (is_image_name(file.native()) && !set_.has_image(folder_.name_of(file)))
        set_.count("images without an annotation left out", {file.string(), 0});
  }

  const SourceFolder& folder_;
  SetBuilder set_;
  std::map<fs::path, std::size_t> places_;
};

}  // namespace

bool found_voc(const SourceFolder& folder) {
  for (const fs::path& xml : folder.with_extension(".xml"))
    if (is_voc(xml)) return true;
  return false;
}

AnnotatedSet read_voc(const SourceFolder& folder, const std::vector<std::string>& names) {
  return VocReader(folder, names).read();
}

}  // namespace darknet
