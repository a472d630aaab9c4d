#include "onnx/export.h"

#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "eval/predict.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

constexpr std::int64_t kBoxNumbers = 4, kObjectness = 4, kFirstClass = 5;  // of a row
constexpr const char* kInput = "images";

std::string part_name(const Network& net, std::int64_t layer) {
  return cat(layer, '_', net.layer(layer).type());
}

class Exporter {
 public:
  Exporter(const Network& net, const OnnxOptions& options)
      : net_(net),
        options_(options),
        graph_(options.fold_batch_norm),
        heads_(net.heads()),
        outputs_(to_size(net.size())) {}

  OnnxModel run() {
    require_heads();
    const Shape in = net_.input_shape();
    input_.name = graph_.add_input({kInput, OnnxType::f32, {batch(), in.c, in.h, in.w}});
    for (std::int64_t i = 0; i < net_.size(); ++i) add_layer(i);
    add_outputs();
    add_metadata();
    graph_.model().name = std::filesystem::path(net_.where().file).stem().string();
    return std::move(graph_.model());
  }

 private:
  struct Made {  // by a layer, or the input
    std::string name;
    OnnxType type = OnnxType::f32;
    std::optional<std::string> converted;  // to the other type of floats
  };

  void require_heads() {
    if (heads_.empty() && options_.decode == OnnxDecode::nms)
      fail_at(net_.where(), "-decode nms needs a detection head, which this network does not have");
    if (!heads_.empty()) classes_ = classes_of(net_);
  }

  std::variant<std::int64_t, std::string> batch() const {
    if (options_.dynamic_batch) return "batch";
    return net_.input_shape().n;
  }

  const HeadAt* head_of(std::int64_t layer) const {
    for (const HeadAt& at : heads_)
      if (at.layer == layer) return &at;
    return nullptr;
  }

  const std::string& made_as(OnnxType type, Made& from) {
    if (from.type == type) return from.name;
    if (!from.converted) {
      graph_.begin(from.name);
      from.converted = graph_.cast(from.name, type);
    }
    return *from.converted;
  }

  void add_layer(std::int64_t i) {
    const Layer& layer = net_.layer(i);
    const OnnxType type = options_.half && !layer.works_in_f32() ? OnnxType::f16 : OnnxType::f32;
    std::vector<OnnxValue> in;
    for (const std::int64_t s : layer.sources()) {
      if (s >= 0 && head_of(s))
        fail(layer.title(), ": reads ", net_.layer(s).title(),
             ", whose output is boxes in ONNX, and no input of a layer");
      const std::string& name = made_as(type, s < 0 ? input_ : outputs_[to_size(s)]);
      in.push_back({name, s < 0 ? net_.input_shape() : net_.output_shape(s)});
    }
    graph_.begin(part_name(net_, i), type);
    Made& out = outputs_[to_size(i)];
    out.type = type;
    const bool raw = head_of(i) && options_.decode == OnnxDecode::raw;
    out.name = raw ? graph_.add("Identity", {in[0].name}) : layer.to_onnx(graph_, in);
  }

  void add_output(const std::string& name,
                  std::vector<std::variant<std::int64_t, std::string>> dims) {
    graph_.model().outputs.push_back({name, OnnxType::f32, std::move(dims)});
  }

  // {N, c, h, w} under the layer's name.
  void add_layer_output(std::int64_t i) {
    const Shape s = net_.output_shape(i);
    add_output(made_as(OnnxType::f32, outputs_[to_size(i)]), {batch(), s.c, s.h, s.w});
  }

  void add_outputs() {
    if (heads_.empty()) return add_layer_output(net_.size() - 1);
    if (options_.decode == OnnxDecode::raw) {
      for (const HeadAt& at : heads_) add_layer_output(at.layer);
      return;
    }
    if (options_.decode == OnnxDecode::nms) return add_detections();
    add_boxes();
  }

  std::int64_t anchors() const {
    std::int64_t sum = 0;
    for (const HeadAt& at : heads_) sum += at.head->candidates(net_.input_shape());
    return sum;
  }

  std::string rows_of_all_heads() {
    std::vector<std::string> parts;
    for (const HeadAt& at : heads_) parts.push_back(outputs_[to_size(at.layer)].name);
    graph_.begin("heads");
    return graph_.concat(std::move(parts), 1);
  }

  // The probabilities of boxes of each class: N x anchors x classes.
  std::string scores_of(const std::string& rows) {
    const std::string objectness = graph_.slice(rows, {{2, kObjectness, kFirstClass}});
    const std::string of_class = graph_.slice(rows, {{2, kFirstClass, kFirstClass + classes_}});
    return graph_.add("Mul", {of_class, objectness});
  }

  void add_boxes() {
    std::string out = rows_of_all_heads();
    std::vector<std::variant<std::int64_t, std::string>> dims{batch(), anchors(),
                                                              kFirstClass + classes_};
    if (options_.layout == OnnxLayout::columns) {
      const std::string scores = scores_of(out);
      const std::string boxes = graph_.slice(out, {{2, 0, kBoxNumbers}});
      out = graph_.transpose(graph_.concat({boxes, scores}, 2), {0, 2, 1});
      dims = {batch(), kBoxNumbers + classes_, anchors()};
    }
    graph_.begin("boxes");
    add_output(graph_.add("Identity", {out}), std::move(dims));
  }

  // One row for each detection: image, class, probability, cx, cy, w, h.
  void add_detections() {
    warn_of_other_kinds();
    const std::string rows = rows_of_all_heads();
    const std::string boxes = graph_.slice(rows, {{2, 0, kBoxNumbers}});
    const std::string scores = graph_.transpose(scores_of(rows), {0, 2, 1});
    graph_.begin("nms");
    const float overlap = options_.nms > 0 ? options_.nms : 1;  // 0: none
    const std::string kept = graph_.add(
        "NonMaxSuppression",
        {boxes, scores, graph_.integers("most_of_class", {anchors()}),
         graph_.floats("iou", {1}, {overlap}), graph_.floats("score", {1}, {options_.threshold})},
        {{"center_point_box", std::int64_t{1}}});  // {detections, 3}: image, class, anchor
    const std::string image = graph_.slice(kept, {{1, 0, 1}});
    const std::string anchor = graph_.slice(kept, {{1, 2, 3}});
    const std::string box = graph_.add("GatherND", {boxes, graph_.concat({image, anchor}, 1)});
    const std::string score = graph_.add(
        "Unsqueeze", {graph_.add("GatherND", {scores, kept}), graph_.integers("axis", {1})});
    const std::string labels = graph_.cast(graph_.slice(kept, {{1, 0, 2}}), OnnxType::f32);
    graph_.begin("detections");
    add_output(graph_.concat({labels, score, box}, 1), {"detections", kFirstClass + 2});
  }

  void warn_of_other_kinds() const {
    for (const HeadAt& at : heads_)
      if (const NmsKind kind = at.head->settings().nms_kind; kind != NmsKind::by_class)
        log::warn(cat(net_.layer(at.layer).title(), ": nms_kind=", name_of(kind),
                      " looks at the distance of the centres too; NonMaxSuppression of ONNX, like "
                      "nms_kind=default, at the IoU alone"));
  }

  void add_metadata() {
    auto& to = graph_.model().metadata;
    const Shape in = net_.input_shape();
    const auto put = [&](const char* key, std::string value) {
      to.emplace_back(key, std::move(value));
    };
    put("cfg", std::filesystem::path(net_.where().file).filename().string());
    put("input", cat(in.c == 3   ? "RGB"
                     : in.c == 1 ? "grey"
                                 : plural(in.c, "channel"),
                     ", NCHW, 0 to 1"));
    if (const float max = net_.settings().input_max; max > 0) put("input_max", cat(max));
    put("letter_box", net_.settings().letter_box ? "1" : "0");
    if (!options_.names.empty()) put("names", names());
    if (heads_.empty()) return;
    put("decode", std::string(name_of(options_.decode)));
    if (options_.decode == OnnxDecode::boxes) put("layout", std::string(name_of(options_.layout)));
    nlohmann::ordered_json anchors, losses;
    for (const HeadAt& at : heads_) {
      const std::string part = part_name(net_, at.layer);
      auto& of_head = anchors[part] = nlohmann::ordered_json::array();
      for (const AnchorShape& a : at.head->anchor_shapes(in))
        of_head.push_back({a.width, a.height});
      losses[part] = at.head->settings().objectness_loss;
    }
    put("anchors", dump_json(anchors));  // width, height in pixels of the input
    put("objectness_loss", dump_json(losses));
  }

  // As Python writes a dictionary, which tools of YOLO networks expect: {0: "disc", 1: "square"}.
  std::string names() const {
    std::string text;
    for (std::size_t k = 0; k < options_.names.size(); ++k)
      text += cat(k == 0 ? "" : ", ", k, ": ",
                  dump_json(nlohmann::json(options_.names[k]), -1, InvalidUtf8::replace));
    return "{" + text + "}";
  }

  const Network& net_;
  const OnnxOptions& options_;
  OnnxBuilder graph_;
  std::vector<HeadAt> heads_;
  Made input_;
  std::vector<Made> outputs_;
  std::int64_t classes_ = 0;
};

}  // namespace

OnnxModel onnx_model(const Network& net, const OnnxOptions& options) {
  return Exporter(net, options).run();
}

}  // namespace darknet
