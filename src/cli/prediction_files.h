// Where the detections of `detector test` and `detect` go: -out, -prefix, -save_labels. All of it
// is checked before the first image is worked on, where the images are known by then.
#pragma once
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cli/predict_images.h"
#include "dataset/detection_files.h"
#include "dataset/label_files.h"

namespace darknet::cli {

class PredictionFiles {
 public:
  // Throws where an output cannot be written or would replace an input or ground truth. `images`:
  // those that are known; more may come where `open_end`.
  PredictionFiles(const PredictOptions&, const ImagePaths& images, bool open_end);
  // Once, before the first image.
  void set_names(std::vector<std::string> names);
  // Before an image is worked on, in order. Returns where its annotated image goes.
  std::filesystem::path begin(const std::filesystem::path& image);
  // What was found in the image that was begun.
  void add(const PictureSize&, const std::vector<Detection>&);
  // Writes -out, of the images so far.
  void finish();

  const std::vector<std::string>& names() const { return found_.names; }
  std::size_t images() const { return detections_.size(); }

 private:
  // Names without folder and ending; images of different folders may share one.
  class UnusedNames {
   public:
    std::string of(const std::filesystem::path& image);

   private:
    std::set<std::string> used_;
  };
  std::filesystem::path annotated(const std::string& name) const;
  void check_folders();
  void check_images(const ImagePaths& images) const;
  void check_saved_labels(const ImagePaths& images) const;
  bool named_outputs() const { return several_ || options_.format == "yolo"; }

  PredictOptions options_;
  bool open_end_, several_;
  std::optional<LabelWriter> labels_;
  UnusedNames unused_;
  std::filesystem::path image_;  // that was begun
  std::string name_;
  ImageSet found_;
  std::vector<std::string> found_names_;  // of outputs, by image
  std::vector<std::vector<Detection>> detections_;
};

}  // namespace darknet::cli
