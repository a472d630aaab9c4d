// [detection]: the detection head of YOLOv1, on the outputs of a [connected] layer. These are, for
// a grid of side x side cells, first the class scores of every cell, then the objectness of its
// `num` predictors, then their boxes: x, y in the cell, w and h (with sqrt=1 their roots) of the
// image. Here every predictor gets a copy of its cell's class scores, so that it has the form of
// the other heads: their output, losses and telemetry are this one's.
#include "core/for_each.h"
#include "core/parts.h"
#include "kernels/copy.h"
#include "layers/detection_head.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct DetectionKeys : ScoredHeadKeys {
  std::int64_t side = 7;
  bool sqrt = false, forced = false;

  template <class V>
  void fields(V&& v) {
    ScoredHeadKeys::fields(
        [&](std::string_view key, auto& member, const auto& allowed, std::string_view help) {
          if (key != "random") v(key, member, allowed, help);
        });
    v("side", side, Integers{1, 1 << 10}, "cells of the grid in each direction");
    v("sqrt", sqrt, Flag{}, "w and h are predicted as their roots");
    v("forced", forced, TrainingOnly{Flag{}},
      "the second predictor gets boxes of less than a tenth of the image, the first the others");
  }

  // Calls f with how w and h follow from decoded outputs.
  template <class F>
  DN_HD auto with_sides(F f) const {
    return sqrt ? f(SideOfWholeRoot{}) : f(SideItself{});
  }
  // Any predictor: which one it is follows from the predictions.
  DN_HD TruthChoice choose(const Truth& t, const AnchorTable&, const Shape& grid) const {
    return {cell_of(t.box, grid), 1};
  }
  std::int64_t channels() const { return num * (5 + classes); }  // of a cell, in the form of a head
  std::int64_t outputs() const { return side * side * (num * 5 + classes); }
};
static_assert(std::is_trivially_copyable_v<DetectionKeys>);

// Where the numbers of a cell stand among the outputs of the layer below.
struct DetectionOrder {
  std::int64_t cells, num, classes;
  explicit DetectionOrder(const DetectionKeys& k)
      : cells(k.side * k.side), num(k.num), classes(k.classes) {}
  DN_HD std::int64_t class_score(std::int64_t cell, std::int64_t k) const {
    return cell * classes + k;
  }
  DN_HD std::int64_t objectness(std::int64_t cell, std::int64_t n) const {
    return cells * classes + cell * num + n;
  }
  DN_HD std::int64_t box(std::int64_t cell, std::int64_t n) const {
    return cells * (classes + num) + (cell * num + n) * 4;
  }
  // Of channel c of a cell in the form of a head.
  DN_HD std::int64_t at(std::int64_t cell, std::int64_t c) const {
    const std::int64_t n = c / (5 + classes), e = c % (5 + classes);
    return e < 4 ? box(cell, n) + e : e == 4 ? objectness(cell, n) : class_score(cell, e - 5);
  }
};

struct ToGrid {
  DetectionOrder order;
  View<const float> in;
  View<float> grid;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    grid.at(p, c) = in.at(p / order.cells, order.at(p % order.cells, c));
  }
};

// A class score has the sum of the gradients of its copies.
struct FromGrid {
  DetectionOrder order;
  View<const float> grid;
  Sink<float> in;
  DN_HD void operator()(std::int64_t image, std::int64_t i) const {
    const std::int64_t entries = 5 + order.classes, scores = order.cells * order.classes,
                       boxes = scores + order.cells * order.num;
    float g = 0;
    if (i < scores) {
      for (std::int64_t n = 0; n < order.num; ++n)
        g += gradient(image, i / order.classes, n * entries + 5 + i % order.classes);
    } else {
      const std::int64_t n = i < boxes ? i - scores : (i - boxes) / 4;  // among all predictors
      const std::int64_t e = i < boxes ? 4 : (i - boxes) % 4;
      g = gradient(image, n / order.num, n % order.num * entries + e);
    }
    in.put(image, i, g);
  }
  DN_HD float gradient(std::int64_t image, std::int64_t cell, std::int64_t c) const {
    return grid.at(image * order.cells + cell, c);
  }
};

// Objectness and class scores; boxes are as predicted.
struct DecodeDetection {
  ClassScores scores;
  bool raw;  // the objectness too
  AnchorLayout layout;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t i) const {  // one predictor
    const std::int64_t pixel = i / layout.anchors, first = i % layout.anchors * layout.entries;
    const float* const x = &in.at(pixel, first);
    float* const y = &out.at(pixel, first);
    for (int e = 0; e < 4; ++e) y[e] = x[e];
    y[4] = raw ? x[4] : math::fast_sigmoid(x[4]);
    decode_scores(scores, layout.classes(), x + 5, y + 5);
  }
};

// The first ground truth of a cell chooses the predictor whose box overlaps it most; where none
// does, the one that differs least.
struct ChoosePredictor {
  AssignArguments a;
  DetectionKeys keys;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t image = i / a.truths.capacity, first = image * a.truths.capacity;
    a.choices[i] = {};
    if (i - first >= a.truths.counts[image]) return;
    const Box& box = a.truths.data[i].box;
    const std::int32_t cell = cell_of(box, a.grid());
    for (std::int64_t t = first; t < i; ++t)
      if (cell_of(a.truths.data[t].box, a.grid()) == cell) return;
    a.choices[i] = {cell, std::uint64_t{1} << predictor(box, image, cell)};
  }

 private:
  DN_HD std::int64_t predictor(const Box& truth, std::int64_t image, std::int32_t cell) const {
    if (keys.forced) return truth.w * truth.h < .1f && a.layout.anchors > 1 ? 1 : 0;
    AnchorPlace at = place_of(a.grid(), image, cell);
    std::int64_t closest = 0, best = -1;
    float least = 0, most = 0;
    for (std::int64_t n = 0; n < a.layout.anchors; ++n) {
      at.n = n, at.first = n * a.layout.entries;
      const Box b = decode_box(keys, a.anchors, a.anchors.origin(at), a.grid(),
                               box_entries<DetectionKeys>(a.outputs(at)));
      const float overlap = iou(b, truth), error = squared_distance(b, truth);
      if (overlap > most) most = overlap, best = n;
      if (n == 0 || error < least) least = error, closest = n;
    }
    return best < 0 ? closest : best;
  }
  DN_HD static float squared_distance(const Box& a, const Box& b) {
    return (a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y) + (a.w - b.w) * (a.w - b.w) +
           (a.h - b.h) * (a.h - b.h);
  }
};

template <class C>
struct AssignPredictor {
  AssignArguments a;
  DetectionKeys keys;
  ClassScores scores;
  C class_loss;

  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t of_image = a.layout.anchors_of_image(a.grid());
    const AnchorPlace at = a.place(i / of_image, i % of_image);
    AnchorRecord r;
    r.weight = keys.noobject_scale * keys.obj_normalizer.value;
    for (std::int64_t t = 0; t < a.truths_of(at); ++t)
      if (a.chosen_by(at, t)) assign(at, t, r);
    a.records[i] = r;
  }

 private:
  DN_HD void assign(const AnchorPlace& at, std::int64_t t, AnchorRecord& r) const {
    const Truth& truth = a.truth(at, t);
    r.state = AnchorState::positive;
    for (std::int64_t u = t; u < a.truths_of(at); ++u)
      r.truths += cell_of(a.truth(at, u).box, a.grid()) == at.cell ? 1 : 0;
    r.iou = iou(decode_box(keys, a.anchors, a.anchors.origin(at), a.grid(),
                           box_entries<DetectionKeys>(a.outputs(at))),
                truth.box);
    r.target = keys.target_is_iou(a.rules) ? r.iou : 1;
    r.weight = keys.object_scale * keys.obj_normalizer.value;
    const Box& b = truth.box;
    const float target[4] = {b.x * a.grid().w - at.x, b.y * a.grid().h - at.y,
                             keys.sqrt ? math::sqrt(b.w) : b.w, keys.sqrt ? math::sqrt(b.h) : b.h};
    for (int e = 0; e < 4; ++e) {
      const float d = a.outputs(at)[e] - target[e];
      a.g(at, e) = keys.coord_scale * d;
      r.box_loss += keys.coord_scale * d * d / 2;
    }
    ScoredClasses<C>{a, scores, class_loss}.set_gradient(at, truth.class_id, keys.class_scale, r);
  }
};

class DetectionLayer final : public KeyedHead<DetectionKeys> {
 public:
  DetectionLayer(Section& section, const LayerContext& context) : KeyedHead(section, context) {
    section.read(keys_);
    const bool raw = !section.has("obj_loss");
    AnchorsKey whole{AnchorUnit::input_pixel};  // every predictor starts from the whole image
    for (std::int64_t n = 0; n < keys_.num; ++n)
      for (const std::int64_t side : {context.net_width, context.net_height})
        whole.sides.push_back(static_cast<float>(side));
    Setup setup{.keys = keys_,
                .anchors = std::move(whole),
                .objectness = read_objectness(section, "mse", keys_.obj_normalizer),
                .weight_positive = keys_.object_scale,
                .weight_negative = keys_.noobject_scale,
                .last_truth_wins = true,  // the first does, and the others are lost
                .raw_objectness = raw};
    class_loss_ = read_scored_class_loss(section, keys_.softmax, scores_);
    if (std::holds_alternative<losses::DarknetFocal>(class_loss_) && !keys_.softmax)
      section.fail_between({"focal_loss", "cls_loss", "softmax"},
                           "it takes raw scores for probabilities, with which training diverges; "
                           "add softmax=1, or take cls_loss=focal");
    setup.keeps_class_gradients = differs_by_class(class_loss_);
    check_losses(section, setup.objectness, raw);
    set_up(std::move(setup));
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    const std::int64_t given = in[0].features();
    if (in[0].h != 1 || in[0].w != 1 || given != keys_.outputs())
      fail(title(), ": gets ", given, " numbers; with side=", keys_.side, ", num=", keys_.num,
           " and classes=", keys_.classes, " side*side*(num*5 + classes) are ", keys_.outputs(),
           ": put a [connected] with output=", keys_.outputs(), " before it", other_keys(given));
    grid_ = {in[0].n, keys_.side, keys_.side, keys_.channels()};
    Requirements r = DetectionHead::reshape({&grid_, 1}, ops, options);
    grid_at_ = part_bytes(r.workspace);
    r.workspace = grid_at_ + grid_.size() * std::int64_t{sizeof(float)};
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    const TensorView grid = grid_view(pass);
    for_each_pixel(pass.stream, grid_, ToGrid{DetectionOrder(keys_), in[0].as<>(), grid.as<>()});
    DetectionHead::forward(pass, {&grid, 1}, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const GradientSlot of_grid{grid_view(pass), false};
    BackwardArguments inner = a;
    inner.in_gradient = {&of_grid, 1};
    DetectionHead::backward(pass, inner);
    for_each_pixel(
        pass.stream, slot.view.shape,
        FromGrid{DetectionOrder(keys_), of_grid.view.as<>(), {slot.view.as<>(), slot.add}});
  }

  std::string to_onnx(OnnxBuilder&, std::span<const OnnxValue> in) const override;

  // Of all cells: the layer below has a channel for every number.
  std::vector<std::int64_t> objectness_channels() const override {
    const DetectionOrder order(keys_);
    std::vector<std::int64_t> channels;
    for (std::int64_t cell = 0; cell < order.cells; ++cell)
      for (std::int64_t n = 0; n < order.num; ++n) channels.push_back(order.objectness(cell, n));
    return channels;
  }
  AssignedAnchors assigned_anchors(const Stream&, std::span<const float> logits,
                                   std::span<const std::vector<Truth>> truths) const override;
  // It predicts boxes of any shape.
  std::vector<AnchorShape> anchor_shapes(const Shape&) const override { return {}; }

 private:
  // Values of keys that would fit so many numbers, as the end of an error message; "": there are
  // none.
  std::string other_keys(std::int64_t given) const {
    const std::int64_t cells = keys_.side * keys_.side, of_cell = keys_.num * 5 + keys_.classes;
    if (const std::int64_t classes = given / cells - keys_.num * 5;
        classes > 0 && given % cells == 0)
      return cat(", or set classes=", classes, " here");
    for (std::int64_t side = 1; side * side * of_cell <= given; ++side)
      if (side * side * of_cell == given) return cat(", or set side=", side, " here");
    return "";
  }
  void check_losses(const Section&, const Objectness&, bool raw) const;

  TensorView grid_view(const Pass& pass) const {
    return {part(pass.workspace, grid_at_), DType::f32, grid_, grid_.c};
  }
  void decode_outputs(const Stream& s, View<const float> logits, View<float> out) const override {
    for_each(s, logits.shape.pixels() * layout().anchors,
             DecodeDetection{scores_, setup().raw_objectness, layout(), logits, out});
  }
  Decoding decoding() const override { return {.scores = scores_}; }
  void assign_truths(const Stream& s, const AssignArguments& a) const override {
    for_each(s, a.truths.images * a.truths.capacity, ChoosePredictor{a, keys_});
    std::visit(
        [&](const auto& loss) {
          using C = std::decay_t<decltype(loss)>;
          for_each(s, a.grid().pixels() * a.layout.anchors,
                   AssignPredictor<C>{a, keys_, scores_, loss});
        },
        class_loss_);
  }

  ScoredClassLoss class_loss_;
  ClassScores scores_ = ClassScores::raw;
  Shape grid_;
  std::int64_t grid_at_ = 0;  // in the workspace
};

void DetectionLayer::check_losses(const Section& section, const Objectness& objectness,
                                  bool raw) const {
  if (raw && (objectness.calibrate || objectness.start.has_prior() ||
              objectness.start.deviation.automatic || objectness.start.deviation.value >= 0 ||
              keys_.obj_normalizer.automatic))
    section.fail_between(
        {"obj_prior", "obj_init", "obj_normalizer", "obj_calibrate"},
        "it needs logits, and without obj_loss the objectness is a raw value; add obj_loss=ce");
  if (!section.training() && !objectness.calibrate) return;
  const bool soft = keys_.target_is_iou(objectness.rules);
  require_hard_targets(section, objectness, soft);
  require_posterior(section, objectness, soft, {keys_.object_scale, keys_.noobject_scale});
}

AssignedAnchors DetectionLayer::assigned_anchors(const Stream& stream,
                                                 std::span<const float> logits,
                                                 std::span<const std::vector<Truth>> truths) const {
  if (setup().raw_objectness)
    fail(title(),
         ": figures of its objectness need logits, and without obj_loss it is a raw "
         "value; add obj_loss=ce, and train with it");
  if (std::ssize(logits) != grid_.n * keys_.outputs())
    fail(title(), ": anchors for ", logits.size(), " numbers are asked for, the network makes ",
         grid_.n * keys_.outputs());
  const DetectionOrder order(keys_);
  std::vector<float> grid;
  for (std::int64_t pixel = 0; pixel < grid_.pixels(); ++pixel)
    for (std::int64_t c = 0; c < grid_.c; ++c)
      grid.push_back(logits[to_size(pixel / order.cells * keys_.outputs() +
                                    order.at(pixel % order.cells, c))]);
  return DetectionHead::assigned_anchors(stream, grid, truths);
}

// Rows of predictors, by predictor, then by cell, as of the other heads.
std::string DetectionLayer::to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const {
  const DetectionOrder order(keys_);
  const std::int64_t cells = order.cells, num = keys_.num, rows = num * cells;
  const std::int64_t scores_end = cells * order.classes, boxes_at = scores_end + rows;
  const std::string& x = in[0].name;
  std::string scores =
      graph.reshape(graph.slice(x, {{1, 0, scores_end}}), {0, cells, order.classes});
  if (scores_ == ClassScores::softmax)
    scores = graph.add("Softmax", {scores}, {{"axis", std::int64_t{2}}});
  if (scores_ == ClassScores::sigmoid) scores = graph.add("Sigmoid", {scores});
  scores = graph.concat(std::vector<std::string>(to_size(num), scores), 1);
  const auto by_predictor = [&](std::int64_t begin, std::int64_t numbers) {
    const std::string part = graph.slice(x, {{1, begin, begin + rows * numbers}});
    const std::string split = graph.reshape(part, {0, cells, num, numbers});
    return graph.reshape(graph.transpose(split, {0, 2, 1, 3}), {0, rows, numbers});
  };
  std::string objectness = by_predictor(scores_end, 1);
  objectness = setup().raw_objectness ? graph.add("Relu", {objectness})  // below 0 nothing is found
                                      : add_objectness(graph, objectness);
  const std::string boxes = by_predictor(boxes_at, 4);
  const auto net_w = static_cast<float>(context_.net_width),
             net_h = static_cast<float>(context_.net_height);
  const float cell_w = net_w / static_cast<float>(keys_.side),
              cell_h = net_h / static_cast<float>(keys_.side);
  std::vector<float> cell_sizes, corners, image_sizes;
  for (std::int64_t r = 0; r < rows; ++r) {
    cell_sizes.insert(cell_sizes.end(), {cell_w, cell_h});
    corners.push_back(static_cast<float>(r % cells % keys_.side) * cell_w);
    corners.push_back(static_cast<float>(r % cells / keys_.side) * cell_h);
    image_sizes.insert(image_sizes.end(), {net_w, net_h});
  }
  const std::vector<std::int64_t> dims{1, rows, 2};
  std::string centre = graph.slice(boxes, {{2, 0, 2}}), side = graph.slice(boxes, {{2, 2, 4}});
  centre = graph.add("Mul", {centre, graph.floats("cell_size", dims, std::move(cell_sizes))});
  centre = graph.add("Add", {centre, graph.floats("corners", dims, std::move(corners))});
  if (keys_.sqrt) side = graph.add("Mul", {side, side});
  side = graph.add("Mul", {side, graph.floats("image_size", dims, std::move(image_sizes))});
  return graph.concat({centre, side, objectness, scores}, 2);
}

}  // namespace

LayerPtr make_detection(Section& section, const LayerContext& context) {
  return std::make_unique<DetectionLayer>(section, context);
}

void describe_detection(KeyDocs& docs) {
  docs.add(DetectionKeys{});
  describe_objectness(docs, "squared error of the raw value, and with obj_loss a sigmoid");
  describe_class_losses(docs, kScoredClassLosses);
}

}  // namespace darknet
