// Format coco: COCO's results. A bbox is x, y of the upper left corner, width and height in pixels
// from 0, clipped to the image.
#include <fmt/format.h>

#include "dataset/coco_ids.h"
#include "dataset/json_results.h"
#include "detect/clip.h"

namespace darknet {
namespace {

class CocoResults : public JsonResults {
 public:
  using JsonResults::JsonResults;
  // The numbers of images follow from the whole list: where it has no end, they are the places.
  void check_images(const ResultImages& images) override {
    JsonResults::check_images(images);
    if (!images.open_end) ids_ = image_ids(images.paths);
  }
  void add(const ResultImage& image, const ImageSize& size,
           std::span<const Detection> found) override {
    const auto w = static_cast<double>(size.width), h = static_cast<double>(size.height);
    const std::int64_t id =
        ids_.empty() ? static_cast<std::int64_t>(image.place) + 1 : ids_.at(image.place);
    for (const Detection& d : found) {
      const BoxEdges box = clipped_to_image(d.box);
      add_entry(
          fmt::format("{{\"image_id\":{},\"category_id\":{},\"bbox\":[{:.4f},{:.4f},{:.4f},{:.4f}],"
                      "\"score\":{:.7g}}}",
                      id, category_id(d.class_id, std::ssize(names())), box.left * w, box.top * h,
                      box.width() * w, box.height() * h, d.probability));
    }
  }

 private:
  std::vector<std::int64_t> ids_;
};

}  // namespace

std::unique_ptr<ResultWriter> make_coco_results(const ResultTarget& target) {
  return std::make_unique<CocoResults>(target.file("coco_results", ".json"));
}

}  // namespace darknet
