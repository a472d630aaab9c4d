// CVAT for images 1.1, and CVAT for video 1.1 with its frames: one XML file for all images.
#include <algorithm>
#include <cmath>
#include <map>

#include "annotation/formats.h"
#include "annotation/set_builder.h"
#include "annotation/xml_file.h"
#include "core/text.h"
#include "dataset/image_sizes.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

bool is_cvat(const fs::path& xml) { return begins_with_element(xml, "annotations"); }

// "x,y;x,y;..."
Corners bounds_of(const std::string& points, const Where& where) {
  Corners box{HUGE_VAL, HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
  for (std::size_t at = 0; at < points.size();) {
    const auto end = std::min(points.find(';', at), points.size());
    const std::string point = points.substr(at, end - at);
    const auto comma = std::min(point.find(','), point.size());
    const double x = finite_number(point.substr(0, comma), "a point's x", where);
    const double y = finite_number(comma < point.size() ? point.substr(comma + 1) : std::string(),
                                   "a point's y", where);
    box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x),
           std::max(box.bottom, y)};
    at = end + 1;
  }
  return box;
}

// What a box that is turned about its centre covers; degrees.
Corners turned(const Corners& box, double degrees) {
  const double angle = degrees * M_PI / 180;
  const double w = box.right - box.left, h = box.bottom - box.top;
  const double half_width = (std::abs(w * std::cos(angle)) + std::abs(h * std::sin(angle))) / 2;
  const double half_height = (std::abs(w * std::sin(angle)) + std::abs(h * std::cos(angle))) / 2;
  const double x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
  return {x - half_width, y - half_height, x + half_width, y + half_height};
}

class CvatReader {
 public:
  CvatReader(const SourceFolder& folder, const std::vector<std::string>& names)
      : folder_(folder), set_(names) {}

  AnnotatedSet read() {
    for (const fs::path& path : folder_.with_extension(".xml"))
      if (is_cvat(path)) read_file(path);
    return set_.finish();
  }

 private:
  void read_file(const fs::path& path) {
    const XmlFile xml(path, "annotations");
    define_classes(xml);
    for (const pugi::xml_node& image : xml.root().children("image"))
      set_.attempt([&] { read_image(xml, path, image); });
    for (const pugi::xml_node& track : xml.root().children("track"))
      set_.attempt([&] { read_track(xml, path, track); });
  }

  void define_classes(const XmlFile& xml) {
    std::vector<std::string> names;
    for (const pugi::xml_node& part : xml.root().child("meta").children())  // task, project or job
      for (const pugi::xml_node& label : part.child("labels").children("label"))
        names.push_back(xml.text(label, "name"));
    set_.define_classes(names, {xml.where(xml.root()).file, 0});
  }

  void read_image(const XmlFile& xml, const fs::path& path, const pugi::xml_node& node) {
    const std::string name = xml.attribute(node, "name");
    const ImageSize size{static_cast<std::int64_t>(xml.numeric_attribute(node, "width")),
                         static_cast<std::int64_t>(xml.numeric_attribute(node, "height"))};
    if (size.width < 1 || size.height < 1) fail_at(xml.where(node), "an image without a size");
    const std::size_t image =
        add(path, name, size, xml.where(node), node.attribute("subset").value());
    for (const pugi::xml_node& shape : node.children())
      set_.attempt([&] { read_shape(xml, shape, image, label_of(xml, shape)); });
  }

  // Frames are images/frame_000012.png, as CVAT exports them.
  void read_track(const XmlFile& xml, const fs::path& path, const pugi::xml_node& track) {
    const std::string label = xml.attribute(track, "label");
    for (const pugi::xml_node& shape : track.children()) {
      if (shape.attribute("outside").as_int() != 0) continue;
      std::string number = xml.attribute(shape, "frame");
      number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
      const std::string name = "frame_" + number;
      const auto file = folder_.image(path.parent_path(), name);
      if (!file)
        fail_at(xml.where(shape), "there is no image '", name,
                ".*': export the task again with its images");
      const fs::path kept = folder_.name_of(*file);
      if (!frames_.contains(kept))
        frames_[kept] = set_.add_image(*file, kept, image_size_of(*file));
      read_shape(xml, shape, frames_[kept], label);
    }
  }

  std::size_t add(const fs::path& path, const std::string& name, ImageSize size, const Where& where,
                  std::string split) {
    const auto file = folder_.image(path.parent_path(), name);
    if (!file)
      fail_at(where, "there is no image '", shown(name), "' in ", folder_.root().string(),
              ": export the task again with its images");
    const std::size_t image = set_.add_image(*file, folder_.name_of(*file), size);
    if (split.empty()) split = folder_.split_of(*file);
    if (!split.empty()) set_.add_to_split(split, image);
    return image;
  }

  static std::string label_of(const XmlFile& xml, const pugi::xml_node& shape) {
    return shape.type() == pugi::node_element && std::string_view(shape.name()) != "tag"
               ? xml.attribute(shape, "label")
               : "";
  }

  void read_shape(const XmlFile& xml, const pugi::xml_node& shape, std::size_t image,
                  const std::string& label) {
    if (shape.type() != pugi::node_element) return;
    const std::string_view kind = shape.name();
    const Where where = xml.where(shape);
    if (kind == "box") {
      Corners box{xml.numeric_attribute(shape, "xtl"), xml.numeric_attribute(shape, "ytl"),
                  xml.numeric_attribute(shape, "xbr"), xml.numeric_attribute(shape, "ybr")};
      const double degrees = shape.attribute("rotation").as_double();
      if (degrees != 0 && std::isfinite(degrees)) {
        box = turned(box, degrees);
        set_.count("turned boxes replaced by the upright boxes around them", where);
      }
      return set_.add_object(image, label, box, where);
    }
    if (kind == "polygon") {
      set_.count("polygons replaced by the boxes around them", where);
      return set_.add_object(image, label, bounds_of(xml.attribute(shape, "points"), where), where);
    }
    set_.count(cat("<", printable(kind), "> left out, which are no boxes"), where);
  }

  const SourceFolder& folder_;
  SetBuilder set_;
  std::map<fs::path, std::size_t> frames_;
};

}  // namespace

bool found_cvat(const SourceFolder& folder) {
  for (const fs::path& xml : folder.with_extension(".xml"))
    if (is_cvat(xml)) return true;
  return false;
}

AnnotatedSet read_cvat(const SourceFolder& folder, const std::vector<std::string>& names) {
  return CvatReader(folder, names).read();
}

}  // namespace darknet
