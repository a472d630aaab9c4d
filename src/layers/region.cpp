// [region]: the detection head of YOLOv2: its keys, its kernels and the layer.
#include <type_traits>
#include "cfg/key_files.h"
#include "core/elementwise.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "layers/class_tree.h"
#include "layers/detection_head.h"
#include "layers/scored_classes.h"

namespace darknet {
namespace {

constexpr std::int64_t kPriorImages = 12800;  // Darknet: so many images pull boxes to their anchors
constexpr float kPriorScale = .01f;

struct RegionKeys : ScoredHeadKeys {
  std::int64_t classfix = 0;
  float thresh = .5f;
  bool bias_match = false;

  template <class V>
  void fields(V&& v) {
    ScoredHeadKeys::fields(v);
    v("bias_match", bias_match, TrainingOnly{Flag{}},
      "a truth chooses by the anchors' shape, else by the predictions'");
    v("classfix", classfix, Integers{-1, 2},
      "-1: objectness learns the best IoU everywhere; 1, 2: ignored anchors learn classes");
    v("thresh", thresh, TrainingOnly{Reals{0, 1}}, "unassigned anchors above this IoU are ignored");
  }

  // Calls f with how w and h follow from decoded outputs.
  template <class F>
  DN_HD auto with_sides(F f) const {
    return f(SideOfLogarithm{});
  }

  // The anchor that fits best by its shape.
  DN_HD TruthChoice choose(const Truth& t, const AnchorTable& anchors, const Shape& grid) const {
    const std::int64_t n =
        best_shape(anchors.count, t.box, [&](std::int64_t k) { return anchors.shape(k); });
    return {cell_of(t.box, grid), std::uint64_t{1} << n};
  }
};
static_assert(std::is_trivially_copyable_v<RegionKeys>);

// Class trees: the labels and the classes that they become.
struct RegionTreeKeys {
  std::string tree, map;
  float hier = .5f;

  template <class V>
  void fields(V&& v) {
    v("tree", tree, Text{},
      "file of a class tree, `name parent` a line: each group of siblings is a softmax; it lies as "
      "given, or next to the cfg, or so from the folder above it");
    v("map", map, Text{},
      "file with the class of each label, a number a line, for data of other classes");
    v("hier", hier, Reals{0, 1},
      "tree: a detection is of the deepest class whose probability exceeds this (-hier)");
  }
};

constexpr const char* kDefaultObjectness = "mse";
constexpr AnchorUnit kAnchorUnit = AnchorUnit::grid_cell;

// x, y and objectness through the sigmoid, w and h raw.
struct Decode {
  ClassScores scores;
  std::int64_t classes;
  AnchorLayout layout;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t i) const {  // one anchor
    const std::int64_t pixel = i / layout.anchors, first = i % layout.anchors * layout.entries;
    const float* const x = &in.at(pixel, first);
    float* const y = &out.at(pixel, first);
    y[0] = math::fast_sigmoid(x[0]), y[1] = math::fast_sigmoid(x[1]);
    y[2] = x[2], y[3] = x[3];
    y[4] = math::fast_sigmoid(x[4]);
    decode_scores(scores, classes, x + 5, y + 5);
  }
};

// The scores of one group of siblings of one anchor.
struct DecodeGroup {
  ClassTreeView tree;
  AnchorLayout layout;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t anchor = i / tree.group_count, group = i % tree.group_count;
    const std::int64_t begin = tree.groups[group], pixel = anchor / layout.anchors;
    const std::int64_t first = anchor % layout.anchors * layout.entries + layout.class_entry(begin);
    decode_softmax(tree.groups[group + 1] - begin, &in.at(pixel, first), &out.at(pixel, first));
  }
};

struct ByShapeOrPrediction {
  RegionKeys keys;
  DN_HD TruthChoice operator()(const AssignArguments& a, const Truth& t, std::int64_t image) const {
    const Shape& grid = a.grid();
    if (keys.bias_match) return keys.choose(t, a.anchors, grid);
    const std::int32_t cell = cell_of(t.box, grid);
    AnchorPlace at = place_of(grid, image, cell);
    const std::int64_t n = best_shape(a.anchors.count, t.box, [&](std::int64_t k) {
      at.n = k, at.first = k * a.layout.entries;
      const float* const o = a.outputs(at);
      const Box predicted =
          decode_box(keys, a.anchors, a.anchors.origin(at), grid, {o[0], o[1], o[2], o[3]});
      return Box{0, 0, predicted.w, predicted.h};
    });
    return {cell, std::uint64_t{1} << n};
  }
};

template <class C>
struct Assign {
  AssignArguments a;
  RegionKeys keys;
  ClassScores scores;
  ClassTreeView tree;
  C class_loss;

  template <int N>
  DN_HD void run(std::int64_t image, std::int64_t first) const {
    AnchorPlace at = a.place(image, first);
    const AnchorGroup<N> group(a, keys, at);
    for (int k = 0; k < N; ++k, a.advance(at)) {
      AnchorRecord r;
      r.weight = keys.noobject_scale * keys.obj_normalizer.value;
      match_by_overlap(at, group.best(k), r);
      if (a.step->images_seen < kPriorImages) pull_to_anchor(at, r);
      if (group.chosen(k)) assign(at, group.box(k), a.truth(at, last_truth(at, r)), r);
      a.records[image * a.layout.anchors_of_image(a.grid()) + first + k] = r;
    }
  }

 private:
  DN_HD float out(const AnchorPlace& at, std::int64_t entry) const { return a.outputs(at)[entry]; }

  DN_HD void match_by_overlap(const AnchorPlace& at, const BestOverlap& best,
                              AnchorRecord& r) const {
    if (keys.classfix == -1 && !a.rules.target_is_one()) {
      r.target = best.iou;
    } else if (best.iou > keys.thresh) {
      if (a.rules.target_is_overlap())
        r.target = best.iou;
      else
        r.state = AnchorState::ignored;
      if (keys.classfix > 0)
        set_class_gradient(at, a.truth(at, best.truth).class_id,
                           keys.class_scale * (keys.classfix == 2 ? out(at, 4) : 1), r);
    }
  }

  DN_HD void pull_to_anchor(const AnchorPlace& at, AnchorRecord& r) const {
    const Box middle = a.anchors.box(a.anchors.origin(at), a.grid(), {.5f, .5f, 1, 1});
    set_box_gradient(at, middle, kPriorScale, r);
  }

  DN_HD std::int64_t last_truth(const AnchorPlace& at, AnchorRecord& r) const {
    std::int64_t last = -1;
    for (std::int64_t t = 0; t < a.truths_of(at); ++t)
      if (a.chosen_by(at, t)) last = t, ++r.truths;
    return last;
  }

  DN_HD void assign(const AnchorPlace& at, const Box& predicted, const Truth& truth,
                    AnchorRecord& r) const {
    r.state = AnchorState::positive;
    r.iou = iou(predicted, truth.box);
    r.target = keys.target_is_iou(a.rules) ? r.iou : 1;
    r.weight = keys.object_scale * keys.obj_normalizer.value;
    set_box_gradient(at, truth.box, keys.coord_scale, r);
    set_class_gradient(at, truth.class_id, keys.class_scale, r);
  }

  // Overwrites what was there: the last ground truth wins.
  DN_HD void set_box_gradient(const AnchorPlace& at, const Box& truth, float scale,
                              AnchorRecord& r) const {
    const AnchorTable& anchors = a.anchors;
    const Shape& grid = a.grid();
    const float target[4] = {truth.x * grid.w - at.x, truth.y * grid.h - at.y,
                             math::log(truth.w * anchors.unit_w / anchors.own_width(at.n)),
                             math::log(truth.h * anchors.unit_h / anchors.own_height(at.n))};
    r.box_loss = 0;
    for (int e = 0; e < 4; ++e) {
      const float o = out(at, e), d = o - target[e];
      a.g(at, e) = scale * d * (e < 2 ? o * (1 - o) : 1);
      r.box_loss += scale * d * d / 2;
    }
  }

  DN_HD void set_class_gradient(const AnchorPlace& at, std::int32_t label, float scale,
                                AnchorRecord& r) const {
    const std::int32_t c = tree.class_of(label);
    if constexpr (OfTrueClass<C>)
      if (tree.nodes) return TreeClasses<C>{a, tree}.set_gradient(at, c, scale, r);
    ScoredClasses<C>{a, scores, class_loss}.set_gradient(at, c, scale, r);
  }
};

class RegionLayer final : public KeyedHead<RegionKeys> {
 public:
  RegionLayer(Section& section, const LayerContext& context) : KeyedHead(section, context) {
    AnchorsKey anchors{kAnchorUnit};
    section.read(keys_);
    section.read(anchors);
    take_anchors(section, keys_.num, anchors);
    Setup setup{.keys = keys_,
                .anchors = std::move(anchors),
                .objectness = read_objectness(section, kDefaultObjectness, keys_.obj_normalizer),
                .weight_positive = keys_.object_scale,
                .weight_negative = keys_.noobject_scale,
                .min_objectness = keys_.classfix == -1 ? .5f : 0,  // Darknet
                .last_truth_wins = true};
    class_loss_ = read_scored_class_loss(section, keys_.softmax, scores_);
    read_tree(section);
    setup.keeps_class_gradients = differs_by_class(class_loss_);
    if (section.training() || setup.objectness.calibrate) check_losses(section, setup.objectness);
    set_up(std::move(setup));
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    buffers_.upload(context_.device, tree_, map_);
    return DetectionHead::reshape(in, ops, options);
  }

  std::int64_t classes_found() const override {
    return finds_labels_ ? std::ssize(map_) : keys_.classes;
  }
  bool find_labels(std::int64_t classes) override {
    finds_labels_ = !map_.empty() && classes == std::ssize(map_);
    return finds_labels_;
  }
  bool finds_its_labels() const override { return map_.empty() || finds_labels_; }
  std::span<const std::string> tree_names() const override { return tree_.names; }

 private:
  void read_tree(Section&);
  void add_detections(const DecodedAnchor&, float threshold,
                      std::vector<InputDetection>& to) const override;
  void check_losses(const Section&, const Objectness&) const;

  void decode_outputs(const Stream& s, View<const float> logits, View<float> out) const override {
    for_each(s, logits.shape.pixels() * layout().anchors,
             Decode{scores_, keys_.classes, layout(), logits, out});
    if (const ClassTreeView& tree = buffers_.view(); tree.nodes)
      for_each(s, logits.shape.pixels() * layout().anchors * tree.group_count,
               DecodeGroup{tree, layout(), logits, out});
  }
  Decoding decoding() const override { return {.scores = scores_}; }
  void assign_truths(const Stream& s, const AssignArguments& a) const override {
    for_each(s, a.truths.images * a.truths.capacity,
             ChooseAnchors<ByShapeOrPrediction>{a, {keys_}});
    std::visit(
        [&](const auto& loss) {
          const Assign<std::decay_t<decltype(loss)>> assign{a, keys_, scores_, buffers_.view(),
                                                            loss};
          for_each_vec<1>(s, a.layout.anchors_by_image(a.grid()), assign);
        },
        class_loss_);
  }

  ScoredClassLoss class_loss_;
  ClassScores scores_ = ClassScores::raw;
  float hier_ = .5f;
  ClassTree tree_;
  std::vector<std::int32_t> map_;  // the class of each label; empty: labels are classes
  ClassTreeBuffers buffers_;
  bool finds_labels_ = false;
};

void RegionLayer::read_tree(Section& section) {
  RegionTreeKeys files;
  section.read(files);
  hier_ = files.hier;
  if (!files.map.empty())
    map_ = read_class_map(file_of_key(section, "map", files.map), keys_.classes);
  if (!map_.empty() && section.training())
    log::warn(cat(to_string(section.where_of("map")), ": map: a label of class 0 to ",
                  map_.size() - 1, " is trained as the class on its line of ", files.map));
  if (files.tree.empty()) return;
  tree_ = read_class_tree(file_of_key(section, "tree", files.tree));
  if (std::ssize(tree_.nodes) != keys_.classes)
    section.fail_between(
        {"tree", "classes"},
        cat("the tree has ", plural(std::ssize(tree_.nodes), "class"), ", classes=", keys_.classes,
            "; give both the same number (before the head, filters= follows from it)"));
  if (std::holds_alternative<SquaredError>(class_loss_))
    class_loss_ = losses::Softmax{};  // Darknet
  if (!std::holds_alternative<losses::Softmax>(class_loss_) &&
      !std::holds_alternative<losses::DarknetFocal>(class_loss_))
    section.fail_between({"cls_loss", "tree"},
                         "a tree has a softmax for each group of siblings: take cls_loss=softmax "
                         "or darknet_focal");
  scores_ = ClassScores::tree;
}

void RegionLayer::add_detections(const DecodedAnchor& a, float threshold,
                                 std::vector<InputDetection>& to) const {
  if (tree_.empty() && !finds_labels_) return DetectionHead::add_detections(a, threshold, to);
  std::vector<float> probabilities(a.scores, a.scores + keys_.classes);
  multiply_down(tree_, probabilities);
  const auto add = [&](std::int64_t k, float p) {
    if (a.factor * p > threshold)
      to.push_back({a.box, static_cast<std::int32_t>(k), a.objectness, a.factor * p});
  };
  if (finds_labels_) {
    for (std::size_t k = 0; k < map_.size(); ++k)
      add(static_cast<std::int64_t>(k), probabilities[to_size(map_[k])]);
  } else {
    const FoundNode found = deepest_node(tree_, probabilities, hier_);
    add(found.node, found.probability);
  }
}

void RegionLayer::check_losses(const Section& section, const Objectness& objectness) const {
  const ObjectnessRules& rules = objectness.rules;
  const bool soft = rules.target_is_overlap() ||
                    (rules.target_from_keys() && (keys_.rescore || keys_.classfix == -1));
  require_hard_targets(section, objectness, soft);
  require_posterior(section, objectness, soft, {keys_.object_scale, keys_.noobject_scale});
  if (!keys_.bias_match && objectness.needs_labels)
    section.fail_between(
        {"bias_match", "obj_norm", "obj_prior", "obj_normalizer"},
        "with bias_match=0 the positives depend on predictions and cannot be counted from "
        "the labels, as obj_norm=positives or positives_ema, obj_prior=auto and "
        "obj_normalizer=auto ask");
}

}  // namespace

LayerPtr make_region(Section& section, const LayerContext& context) {
  return std::make_unique<RegionLayer>(section, context);
}

void describe_region(KeyDocs& docs) {
  docs.add(RegionKeys{});
  docs.add(AnchorsKey{kAnchorUnit});
  docs.add(RegionTreeKeys{});
  describe_objectness(docs, kDefaultObjectness);
  describe_class_losses(docs, kScoredClassLosses);
}

}  // namespace darknet
