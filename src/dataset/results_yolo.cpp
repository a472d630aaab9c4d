// Format yolo: a label file per image, with a probability behind each box. Each is written as soon
// as its image is done.
#include <optional>

#include "core/log.h"
#include "dataset/label_files.h"
#include "dataset/result_writer.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

class YoloResults : public ResultWriter {
 public:
  explicit YoloResults(fs::path folder) : folder_(std::move(folder)) {}
  bool writes_label_files() const override { return true; }

  void check_images(const ResultImages& images) override {
    const bool stems = images.names.empty();
    if (stems) require_distinct_label_names(images.paths);
    labels_.emplace(folder_);
    for (const fs::path& name : stems ? images.paths : images.names)
      labels_->require_free(stems ? label_name(name) : name.string() + ".txt");
  }
  void set_classes(const std::vector<std::string>&) override {}
  void add(const ResultImage& image, const ImageSize&, std::span<const Detection> found) override {
    labels_->write(image.name + ".txt", label_lines(found, true));
  }
  void finish() override {}
  std::vector<fs::path> outputs() const override { return {folder_}; }

 private:
  fs::path folder_;
  std::optional<LabelWriter> labels_;
};

}  // namespace

std::unique_ptr<ResultWriter> make_yolo_results(const ResultTarget& target) {
  if (!target.name.empty())
    log::warn("-out has no effect with -format yolo: label files are named after their images");
  return std::make_unique<YoloResults>(target.path);
}

}  // namespace darknet
