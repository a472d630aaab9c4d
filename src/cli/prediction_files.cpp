#include "cli/prediction_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/open_network.h"
#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

// The layout of AlexeyAB's -out files.
json darknet_json(const ImageSet& set, std::span<const std::vector<Detection>> detections) {
  json frames = json::array();
  for (std::size_t i = 0; i < detections.size(); ++i) {
    json objects = json::array();
    auto shown = detections[i];
    remove_hidden(shown, set.names);
    for (const Detection& d : shown) objects.push_back(darknet_object(d, set.names));
    frames.push_back(
        {{"frame_id", i + 1}, {"filename", set.images[i].string()}, {"objects", objects}});
  }
  return frames;
}

fs::path voc_file(const PredictOptions& o, const std::string& class_name) {
  return fs::path(o.out) / voc_file_name("comp4_det_test_", class_name);
}

bool writes_voc(const PredictOptions& o) { return !o.out.empty() && o.format == "voc"; }

// -save_labels: where the label file of an image goes.
fs::path saved_labels(const fs::path& image) { return fs::path(image).replace_extension(".txt"); }

}  // namespace

std::string PredictionFiles::UnusedNames::of(const fs::path& image) {
  const std::string stem = image.stem().string();
  std::string name = stem;
  for (int i = 2; !used_.insert(name).second; ++i) name = fmt::format("{}-{}", stem, i);
  return name;
}

PredictionFiles::PredictionFiles(const PredictOptions& o, const ImagePaths& images, bool open_end)
    : options_(o),
      open_end_(open_end),
      several_(open_end || images.size() > 1),
      inputs_({{"the .data file", o.data},
               {"the cfg", o.cfg},
               {"the weights file", o.weights},
               {"the names file", o.names},
               {"the tuning file", o.tuning}}) {
  // Label files only where they are ground truth that LabelWriter does not guard.
  add_images(inputs_, images, o.format != "yolo" || o.out.empty());
  for (const std::string& argument : o.images)
    if (fs::path(argument).extension() == ".txt") inputs_.add("the list", argument);
  for (const fs::path& list : o.lists) inputs_.add("the list", list);
  check_folders();
  check_images(images);
}

void PredictionFiles::check_folders() {
  if (several_) require_writable_folder(annotated("").parent_path());
  if (options_.out.empty()) return;
  if (options_.format == "yolo")
    labels_.emplace(options_.out);
  else if (options_.format == "voc")
    require_writable_folder(options_.out);
  else
    require_writable_file(options_.out);
}

void PredictionFiles::check_images(const ImagePaths& images) const {
  if (writes_voc(options_)) require_voc_names({images, {}, {}});
  UnusedNames unused;
  for (const fs::path& image : images) {
    const std::string name = unused.of(image);
    if (several_)
      require_unprotected(annotated(name));
    else
      require_writable_file(annotated(name));
    if (labels_) labels_->require_free(name + ".txt");
  }
}

void PredictionFiles::set_names(std::vector<std::string> names) {
  found_.names = std::move(names);
  if (!writes_voc(options_)) return;
  require_voc_names(found_);
  for (const std::string& name : found_.names) require_writable_file(voc_file(options_, name));
}

fs::path PredictionFiles::annotated(const std::string& name) const {
  const std::string prefix = options_.prefix.empty() ? "predictions" : options_.prefix;
  return several_ ? fs::path(prefix) / (name + ".jpg") : fs::path(prefix + ".jpg");
}

fs::path PredictionFiles::begin(const fs::path& image) {
  image_ = image;
  name_ = unused_.of(image);
  if (open_end_) inputs_.add("the image", image);
  if (writes_voc(options_) && name_ != image.stem())
    fail(image.string(), ": a VOC file cannot tell it from another image called ",
         image.stem().string());
  if (options_.save_labels && is_present(saved_labels(image)))
    fail(saved_labels(image).string(), ": -save_labels writes over no label file");
  if (name_ != image.stem() && named_outputs())
    log::warn(cat(image.string(), ": another image is called ", image.stem().string(),
                  " too; what is found here goes to ", name_));
  require_unprotected(annotated(name_));
  return annotated(name_);
}

void PredictionFiles::add(const PictureSize& size, const std::vector<Detection>& found) {
  found_.images.push_back(image_);
  found_.sizes.push_back(size);
  found_names_.push_back(name_);
  detections_.push_back(found);
  if (options_.save_labels) write_file_atomically(saved_labels(image_), label_lines(found, false));
}

void PredictionFiles::finish() {
  const PredictOptions& o = options_;
  if (o.out.empty()) return;
  if (o.format == "voc") {
    for (std::size_t k = 0; k < found_.names.size(); ++k)
      write_file_atomically(voc_file(o, found_.names[k]),
                            voc_results(found_, detections_, static_cast<std::int64_t>(k)));
  } else if (o.format == "yolo") {
    for (std::size_t i = 0; i < detections_.size(); ++i)
      labels_->write(found_names_[i] + ".txt", label_lines(detections_[i], true));
  } else if (o.format == "coco") {
    write_file_atomically(o.out, coco_results(found_, detections_));
  } else {
    write_file_atomically(
        o.out,
        darknet_json(found_, detections_).dump(1, ' ', false, json::error_handler_t::replace) +
            "\n");
  }
}

}  // namespace darknet::cli
