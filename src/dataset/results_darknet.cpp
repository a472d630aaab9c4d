// Format darknet: the layout of AlexeyAB's -out files, boxes in fractions of the image.
#include "dataset/results_darknet.h"

#include "core/index.h"
#include "core/json.h"
#include "dataset/hidden_classes.h"
#include "dataset/json_results.h"

namespace darknet {
namespace {
using nlohmann::json;

class DarknetResults : public JsonResults {
 public:
  using JsonResults::JsonResults;
  void add(const ResultImage& image, const ImageSize&, std::span<const Detection> found) override {
    std::vector<Detection> shown(found.begin(), found.end());
    remove_hidden(shown, names());
    json objects = json::array();
    for (const Detection& d : shown) objects.push_back(darknet_object(d, names()));
    const json frame{
        {"frame_id", ++frames_}, {"filename", image.path.string()}, {"objects", objects}};
    std::string text = " ";
    for (const char c : dump_json(frame, 1, InvalidUtf8::replace)) {
      text += c;
      if (c == '\n') text += ' ';  // as in an array that is dumped whole
    }
    add_entry(text);
  }

 private:
  std::int64_t frames_ = 0;
};

}  // namespace

nlohmann::json darknet_object(const Detection& d, const std::vector<std::string>& names) {
  return {{"class_id", d.class_id},
          {"name", names[to_size(d.class_id)]},
          {"relative_coordinates",
           {{"center_x", d.box.x}, {"center_y", d.box.y}, {"width", d.box.w}, {"height", d.box.h}}},
          {"confidence", d.probability}};
}

std::unique_ptr<ResultWriter> make_darknet_results(const ResultTarget& target) {
  return std::make_unique<DarknetResults>(target.file("darknet_results", ".json"));
}

}  // namespace darknet
