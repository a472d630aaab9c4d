// Where the detections of `detector test` and `detect` go: -out, -prefix, -save_labels. All of it
// is checked before the first image is worked on, where the images are known by then.
#pragma once
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/predict_images.h"
#include "core/file_format.h"
#include "dataset/result_writer.h"
#include "image/image.h"

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
  // What was found in the image that was begun. Returns where its labels were saved; "": nowhere.
  std::filesystem::path add(const ImageSize&, const std::vector<Detection>&);
  // The image that was begun, with what was found drawn into it.
  void write(const std::filesystem::path& annotated, const Image&) const;
  // Completes -out with the images so far.
  void finish();
  std::vector<std::filesystem::path> outputs() const;  // of -out

  const std::vector<std::string>& names() const { return names_; }  // of the classes
  std::size_t images() const { return images_; }                    // that were added

 private:
  // Names without folder and extension; images of different folders may share one.
  class UnusedNames {
   public:
    std::string of(const std::filesystem::path& image);

   private:
    std::set<std::string> used_;
  };
  std::filesystem::path annotated(const std::string& name) const;
  void check_images(const ImagePaths& images) const;
  void check_saved_labels(const ImagePaths& images) const;
  void check_labels_of(const std::filesystem::path& image) const;

  PredictOptions options_;
  bool open_end_, several_;
  bool in_folder_;                         // -prefix is a folder: of several images, or "x/"
  FileFormat image_format_;                // what the annotated images may replace
  std::unique_ptr<ResultWriter> results_;  // none without -out
  UnusedNames unused_;
  ResultImage image_;  // that was begun
  std::vector<std::string> names_;
  std::size_t begun_ = 0, images_ = 0;
};

}  // namespace darknet::cli
