#include "cli/prediction_files.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/open_network.h"
#include "cli/run_inputs.h"
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
    : options_(o), open_end_(open_end), several_(open_end || images.size() > 1) {
  // Label files only where they are ground truth that LabelWriter does not guard.
  add_images(run_inputs(), images, o.format != "yolo" || o.out.empty());
  for (const std::string& argument : o.images)
    if (fs::path(argument).extension() == ".txt") run_inputs().add("the list", argument);
  check_folders();
  check_images(images);
  if (o.save_labels) check_saved_labels(images);
}

void PredictionFiles::check_folders() {
  if (several_) require_writable_folder(annotated("").parent_path());
  if (options_.out.empty()) return;
  if (options_.format == "yolo")
    labels_.emplace(options_.out);
  else if (options_.format == "voc")
    require_writable_folder(options_.out);
  else
    require_writable_file(options_.out, detections_json_format());
}

void PredictionFiles::check_images(const ImagePaths& images) const {
  if (writes_voc(options_)) require_voc_names({images, {}, {}});
  UnusedNames unused;
  for (const fs::path& image : images) {
    const std::string name = unused.of(image);
    if (several_)
      require_replaceable(annotated(name), kImageFormat);
    else
      require_writable_file(annotated(name), kImageFormat);
    if (labels_) labels_->require_free(name + ".txt");
  }
}

void PredictionFiles::check_saved_labels(const ImagePaths& images) const {
  std::size_t labelled = 0;
  fs::path first;
  std::map<fs::path, fs::path> image_of;
  std::set<fs::path> folders;
  for (const fs::path& image : images) {
    const fs::path labels = saved_labels(image);
    folders.insert(labels.has_parent_path() ? labels.parent_path() : fs::path("."));
    if (is_present(labels) && ++labelled == 1) first = labels;
    if (const auto [at, fresh] = image_of.emplace(labels, image); !fresh)
      fail(image.string(), ": would share the label file ", labels.string(), " with ",
           at->second.string(), "; -save_labels needs one of them in another folder");
  }
  if (labelled > 0)
    fail(first.string(), ": -save_labels replaces no label file, and of ",
         plural(static_cast<std::int64_t>(images.size()), "image"), ", ", labelled,
         labelled == 1 ? " has" : " have", " one already; name the others alone");
  for (const fs::path& folder : folders) require_writable_folder(folder);
}

void PredictionFiles::set_names(std::vector<std::string> names) {
  found_.names = std::move(names);
  if (!writes_voc(options_)) return;
  require_voc_names(found_);
  for (const std::string& name : found_.names)
    require_writable_file(voc_file(options_, name), kVocFormat);
}

fs::path PredictionFiles::annotated(const std::string& name) const {
  const std::string prefix = options_.prefix.empty() ? "predictions" : options_.prefix;
  return several_ ? fs::path(prefix) / (name + ".jpg") : fs::path(prefix + ".jpg");
}

fs::path PredictionFiles::begin(const fs::path& image) {
  image_ = image;
  name_ = unused_.of(image);
  if (open_end_) run_inputs().add("the image", image);
  if (writes_voc(options_) && name_ != image.stem())
    fail(image.string(), ": a VOC file cannot tell it from another image called ",
         image.stem().string());
  if (options_.save_labels && is_present(saved_labels(image)))
    fail(saved_labels(image).string(), ": -save_labels replaces no label file");
  if (name_ != image.stem() && named_outputs())
    log::warn(cat(image.string(), ": another image is called ", image.stem().string(),
                  " too; what is found here goes to ", name_));
  if (several_) require_replaceable(annotated(name_), kImageFormat);
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
