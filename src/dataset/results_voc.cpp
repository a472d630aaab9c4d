// Format voc: Pascal VOC's comp4 files, one per class, with lines "STEM score left top right
// bottom": pixels from 1 (Darknet), clipped to the image.
#include <fmt/format.h>

#include <deque>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/streamed_file.h"
#include "dataset/result_writer.h"
#include "dataset/voc_names.h"
#include "detect/clip.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr const char* kPrefix = "comp4_det_test_";

class VocResults : public ResultWriter {
 public:
  explicit VocResults(ResultTarget target) : target_(std::move(target)) {}

  void check_images(const ResultImages& images) override {
    require_writable_folder(target_.path);
    const fs::path any = target_.file_with_prefix(kPrefix, "");
    if (any.has_filename()) remove_leftovers(any.parent_path(), any.filename().string());
    require_voc_images(images.paths);
  }
  void set_classes(const std::vector<std::string>& names) override {
    require_voc_classes(names);
    for (const std::string& name : names) {
      const fs::path file = target_.file_with_prefix(kPrefix, voc_file_name("", name));
      require_writable_file(file, kVocFormat);
      files_.emplace_back(file, kVocFormat);
    }
  }
  void check_image(const ResultImage& image) const override {
    require_voc_image(image.path);
    if (image.name != image.path.stem())
      fail(image.path.string(), ": a VOC file cannot distinguish it from another image called ",
           image.path.stem().string());
  }
  void add(const ResultImage& image, const ImageSize& size,
           std::span<const Detection> found) override {
    const auto w = static_cast<double>(size.width), h = static_cast<double>(size.height);
    for (const Detection& d : found) {
      const BoxEdges box = clipped_to_image(d.box);  // pixels from 1: the last one is w, not w + 1
      files_.at(to_size(d.class_id))
          .append(fmt::format("{} {:.7g} {:.4f} {:.4f} {:.4f} {:.4f}\n", image.path.stem().string(),
                              d.probability, std::min(box.left * w + 1, w),
                              std::min(box.top * h + 1, h), std::min(box.right * w + 1, w),
                              std::min(box.bottom * h + 1, h)));
    }
  }
  void finish() override {
    for (StreamedFile& file : files_) file.flush();  // a full disk leaves all earlier files
    for (StreamedFile& file : files_) file.commit();
  }
  std::vector<fs::path> outputs() const override {
    std::vector<fs::path> paths;
    for (const StreamedFile& file : files_) paths.push_back(file.path());
    return paths;
  }

 private:
  ResultTarget target_;
  std::deque<StreamedFile> files_;  // by class
};

}  // namespace

std::unique_ptr<ResultWriter> make_voc_results(const ResultTarget& target) {
  return std::make_unique<VocResults>(target);
}

}  // namespace darknet
