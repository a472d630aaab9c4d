#include "dataset/json_results.h"

#include "core/file.h"

namespace darknet {
namespace {
// Of COCO's entries and AlexeyAB's: one file may take the place of the other.
FileFormat detections_json_format() {
  return json_format({"image_id", "category_id", "bbox", "score", "filename", "frame_id"});
}
}  // namespace

JsonResults::JsonResults(const std::filesystem::path& file)
    : file_(file, detections_json_format()) {}

void JsonResults::check_images(const ResultImages&) {
  const auto folder = file_.path().parent_path();
  remove_leftovers(folder.empty() ? "." : folder, file_.path().filename().string());
  require_writable_file(file_.path(), detections_json_format());
}

void JsonResults::add_entry(const std::string& json) {
  file_.append(empty_ ? "[\n" : ",\n");
  file_.append(json);
  empty_ = false;
}

void JsonResults::finish() {
  file_.append(empty_ ? "[\n]\n" : "\n]\n");
  file_.commit();
}

}  // namespace darknet
