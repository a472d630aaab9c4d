#include "train/draft.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>
#include <set>
#include <sstream>

#include "cfg/cfg_text.h"
#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "cfg/shipped.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/image_sizes.h"
#include "dataset/labels.h"
#include "nn/head_types.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "train/anchors.h"
#include "train/pace.h"
#include "train/plan.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxSizedImages = 1000, kMaxClustered = 20000;  // of more, a sample
constexpr double kMaxPixels = 1024. * 1024;
constexpr double kHostShare = .4, kDeviceShare = .8;  // of the memory, for the training network
constexpr std::int64_t kMeasuredBatch = 16, kGlancedBatch = 4;  // for -hours; for a rough time
constexpr double kLargeShare = .95;                             // the percentile of large objects

// The networks of `small`, which see objects up to a size: the finer one for the smaller objects.
struct SmallNetwork {
  const char* name;
  double max_smallest, max_largest;  // pixels at its input
};
constexpr SmallNetwork kSmall[] = {{"quickstart", 16, 64}, {"blood-cells", 1e9, 128}};
constexpr const char* kLarge = "yolov4-tiny";

// What the labels and images say.
struct DataFacts {
  std::vector<AnchorShape> objects;  // fractions of the image
  std::int64_t images = 0, classes = 0, max_objects = 0;
  double aspect = 1, smallest = 0, largest = 0;  // sides in fractions, percentiles
  std::vector<std::string> names;
  LabelledImages train, valid;  // valid: empty where no list is given
};

// Taken evenly from the whole list.
template <class List>
List sampled(const List& all, std::int64_t max) {
  const auto n = std::ssize(all);
  if (n <= max) return all;
  List some;
  for (std::int64_t i = 0; i < max; ++i) some.push_back(all[to_size(i * n / max)]);
  return some;
}

double median_aspect(const ImagePaths& images) {
  ImagePaths some = sampled(images, kMaxSizedImages);
  some.add_lists_of(images);
  std::vector<double> aspects;
  for (const ImageSize& s : image_sizes(some))
    aspects.push_back(static_cast<double>(s.width) / static_cast<double>(s.height));
  return percentile(std::move(aspects), .5);
}

DataFacts facts_of(const DataFile& data, BadLabels bad) {
  DataFacts f;
  f.names = data.names.empty() ? names_of("", data.classes) : read_names(data.names, data.classes);
  f.classes = std::ssize(f.names);
  if (f.classes == 0)
    fail_at({data.path.string(), 0}, "names= or classes= is required: how many classes are there?");
  f.train = read_all_labels(read_image_list(required(data, data.train, "train")), f.classes, bad);
  if (!data.valid.empty()) f.valid = read_all_labels(read_image_list(data.valid), f.classes, bad);
  std::vector<double> sides;
  for (const auto& truths : f.train.truths) {
    f.max_objects = std::max(f.max_objects, std::ssize(truths));
    for (const Truth& t : truths) {
      f.objects.push_back({t.box.w, t.box.h});
      sides.push_back(std::sqrt(static_cast<double>(t.box.w) * static_cast<double>(t.box.h)));
    }
  }
  if (f.objects.empty())
    fail_at({data.train.string(), 0}, "no image of this list has an object in its label file");
  f.images = std::ssize(f.train.images);
  f.aspect = median_aspect(f.train.images);
  f.smallest = percentile(sides, kSmallObjectShare);
  f.largest = percentile(std::move(sides), kLargeShare);
  return f;
}

std::int64_t different_sizes(const std::vector<AnchorShape>& objects) {
  std::set<std::pair<float, float>> sizes;
  for (const AnchorShape& o : objects) sizes.insert({o.width, o.height});
  return std::ssize(sizes);
}

std::string fixed(double value, int digits) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  out << value;
  return out.str();
}

std::string side_text(double pixels) { return fixed(pixels, pixels < 20 ? 1 : 0); }

std::vector<Section> sections(const CfgText& cfg, const std::string& name) {
  std::istringstream in(cfg.text());
  return parse_cfg(in, name);
}

using Begins = std::function<void(const std::string&)>;

class Drafter {
 public:
  Drafter(const DraftOptions& o, DataFacts facts, const Begins& begins)
      : options_(o),
        facts_(std::move(facts)),
        begins_(begins),
        name_(chosen_network()),
        cfg_(shipped_cfg(name_)),
        heads_(find_heads()) {}
  Draft run();

 private:
  struct HeadPlace {
    std::size_t section = 0;
    std::int64_t stride = 0, anchors = 0;
    AnchorShape unit;  // of its key anchors
  };
  std::string chosen_network();
  std::string network_for_weights() const;
  std::int64_t number(const char* key) const { return std::stoll(cfg_.value(0, key)); }
  Network network(Mode mode, std::int64_t batch = 1) const {
    return Network(sections(cfg_, name_),
                   {.device = options_.device, .mode = mode, .batch = batch});
  }
  double budget() const {
    const double share = options_.device.type == DeviceType::cpu ? kHostShare : kDeviceShare;
    return share * static_cast<double>(memory(options_.device.type).capacity(options_.device));
  }
  std::vector<HeadPlace> find_heads() const;  // the finest first
  bool has_key(const HeadPlace& head, std::string_view key) const;
  std::string why_this_network() const;
  std::vector<AnchorShape> objects_in_pixels() const;
  std::int64_t anchors_of_network() const;
  void set_classes();
  void set_input();
  void set_anchors();
  void write_anchors(const HeadPlace& head, const AnchorResult& r,
                     const std::vector<std::int64_t>& mask);
  void set_losses();
  void set_augmentation();
  double seconds_per_image();
  void set_length();
  void set_parts();
  std::int64_t iterations_of_run(double seconds_per_image, std::int64_t batch) const;
  double images_of_run(double seconds_per_image) const;
  void set_schedule(const Schedule& s);
  void check_weights();
  void because(const std::string& reason) { reasons_.push_back(reason); }

  DraftOptions options_;
  DataFacts facts_;
  const Begins& begins_;
  std::string name_;
  CfgText cfg_;
  std::vector<HeadPlace> heads_;
  std::vector<std::string> reasons_;
};

// Whether a shipped network takes the weights. Its input is small, as parameters do not depend on
// it: a large candidate needs little memory. One for which memory does not suffice is skipped.
bool takes_weights(const std::string& name, const std::filesystem::path& weights) try {
  CfgText cfg(shipped_cfg(name));
  for (const char* side : {"width", "height"}) cfg.set(0, side, "64");
  Network net(sections(cfg, name), {.mode = Mode::training, .batch = 1});
  load_weights(weights, net, {.allow_backbone = true});
  return true;
} catch (const Error&) {
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

std::string Drafter::network_for_weights() const {
  std::vector<std::string> names = draft_networks();
  names.front() = "quickstart";  // of "small"
  names.insert(names.begin(), "blood-cells");
  for (const std::string& name : names)
    if (takes_weights(name, options_.weights)) return name;
  fail(options_.weights.string(),
       ": fits none of the networks that init knows; name one with -like "
       "to see what differs");
}

std::string Drafter::chosen_network() {
  if (!options_.like.empty() && options_.like != "small") return options_.like;
  if (options_.like.empty() && !options_.weights.empty()) return network_for_weights();
  for (const SmallNetwork& small : kSmall) {
    const CfgText cfg(shipped_cfg(small.name));
    const InputPlan plan = plan_input(
        {.smallest = facts_.smallest,
         .aspect = facts_.aspect,
         .usual_pixels = std::stoll(cfg.value(0, "width")) * std::stoll(cfg.value(0, "height"))});
    const double largest = facts_.largest / facts_.smallest * plan.smallest;
    if (plan.smallest <= small.max_smallest && largest <= small.max_largest) return small.name;
  }
  return options_.like == "small" ? kSmall[1].name : kLarge;
}

std::vector<Drafter::HeadPlace> Drafter::find_heads() const {
  const Network net = network(Mode::inference);
  std::vector<HeadPlace> places;
  for (std::size_t s = 1; s < cfg_.size(); ++s)
    if (is_head_type(cfg_.type(s))) places.push_back({.section = s});
  for (std::size_t k = 0; k < places.size(); ++k) {
    const HeadAt at = net.heads()[k];
    const Shape grid = net.output_shape(at.layer), input = net.input_shape();
    places[k].stride = input.w / grid.w, places[k].unit = at.head->anchor_unit(input);
    places[k].anchors = at.head->settings().anchors;
  }
  std::ranges::stable_sort(places, {}, &HeadPlace::stride);
  return places;
}

// Whether its section type has such a key.
bool Drafter::has_key(const HeadPlace& head, std::string_view key) const {
  const KeyDocs keys = layer_keys(cfg_.type(head.section));
  return std::any_of(keys.docs().begin(), keys.docs().end(),
                     [&](const KeyDoc& k) { return k.key == key; });
}

void Drafter::set_classes() {
  for (const HeadPlace& head : heads_) {
    cfg_.set(head.section, "classes", std::to_string(facts_.classes));
    cfg_.set(head.section - 1, "filters", std::to_string((facts_.classes + 5) * head.anchors));
    constexpr std::int64_t kDefaultMax = 200;
    if (facts_.max_objects > kDefaultMax)
      cfg_.set(head.section, "max", std::to_string(facts_.max_objects), "objects of one image");
  }
}

void Drafter::set_input() {
  const MemoryUse use = network(Mode::training).memory();
  const std::int64_t usual = number("width") * number("height");
  const double fixed_bytes = static_cast<double>(use.total() - use.activations);
  const double per_pixel = static_cast<double>(use.activations) / static_cast<double>(usual);
  const double max = std::min(kMaxPixels, (budget() - fixed_bytes) / per_pixel);
  const InputPlan plan = plan_input({.smallest = facts_.smallest,
                                     .aspect = facts_.aspect,
                                     .usual_pixels = usual,
                                     .max_pixels = static_cast<std::int64_t>(max)});
  cfg_.set(0, "width", std::to_string(plan.width));
  cfg_.set(0, "height", std::to_string(plan.height));
  because(
      cat("input ", plan.width, "x", plan.height, ": images are ", fixed(facts_.aspect, 2),
          " as wide as high; 95 % of the objects are larger than ", side_text(plan.smallest),
          " pixels there", plan.raised ? ", which is why it is larger than usual" : "",
          plan.limited ? "; a larger input would show small ones better but is too large" : ""));
}

// At the network's input; of many a sample.
std::vector<AnchorShape> Drafter::objects_in_pixels() const {
  std::vector<AnchorShape> objects = sampled(facts_.objects, kMaxClustered);
  const auto width = static_cast<float>(number("width"));
  const auto height = static_cast<float>(number("height"));
  for (AnchorShape& o : objects) o.width *= width, o.height *= height;
  return objects;
}

// Of all heads together: what they share by num=, or the sum.
std::int64_t Drafter::anchors_of_network() const {
  if (const std::string num = cfg_.value(heads_[0].section, "num"); !num.empty())
    return std::stoll(num);
  std::int64_t all = 0;
  for (const HeadPlace& head : heads_) all += head.anchors;
  return all;
}

void Drafter::set_anchors() {
  const std::vector<AnchorShape> objects = objects_in_pixels();
  const std::int64_t count = std::min(anchors_of_network(), different_sizes(objects));
  AnchorResult r = calc_anchors(objects, {.anchors = count});
  while (r.anchors.size() < heads_.size())  // every head needs one
    r.anchors.push_back({2 * r.anchors.back().width, 2 * r.anchors.back().height});
  std::vector<std::int64_t> strides;
  for (const HeadPlace& head : heads_) strides.push_back(head.stride);
  const auto split = split_anchors(r.anchors, strides);
  std::vector<std::string> of_heads;
  for (std::size_t k = 0; k < split.size(); ++k) {
    write_anchors(heads_[k], r, split[k]);
    of_heads.push_back(cat(split[k].size(), " at stride ", strides[k]));
  }
  because(cat("anchors by k-means on ", plural(std::ssize(objects), "object"), " (mean IoU ",
              fixed(r.mean_iou, 3), "): ", joined(of_heads, ", ")));
}

void Drafter::write_anchors(const HeadPlace& head, const AnchorResult& r,
                            const std::vector<std::int64_t>& mask) {
  const auto unit_x = static_cast<double>(head.unit.width);
  const auto unit_y = static_cast<double>(head.unit.height);
  std::string anchors, indices;
  for (const AnchorShape& a : r.anchors)
    anchors += cat(anchors.empty() ? "" : ", ", fixed(static_cast<double>(a.width) / unit_x, 2),
                   ",", fixed(static_cast<double>(a.height) / unit_y, 2));
  for (const std::int64_t m : mask) indices += cat(indices.empty() ? "" : ",", m);
  cfg_.set(head.section, "anchors", anchors);
  cfg_.set(head.section, "num", std::to_string(r.anchors.size()));
  if (has_key(head, "mask")) cfg_.set(head.section, "mask", indices);
  cfg_.set(head.section - 1, "filters", std::to_string((facts_.classes + 5) * std::ssize(mask)),
           "(classes + 5) x anchors of the head below");
}

void Drafter::set_losses() {
  const bool focal = options_.loss == "focal";
  for (const HeadPlace& head : heads_) {
    const std::size_t s = head.section;
    cfg_.set(s, "obj_loss", options_.loss, "or focal: -loss focal; docs/results.md compares them");
    if (focal) {
      cfg_.set(s, "obj_gamma", "2");
      cfg_.set(s, "obj_alpha", ".25");
      cfg_.set(s, "obj_target", "one");
      cfg_.set(s, "obj_normalizer", "auto", "focal gradients are smaller; auto makes up for it");
    }
    cfg_.set(s, "obj_prior", "auto", "start from the share of anchors that have an object");
    const std::string box = cfg_.value(s, "iou_loss");
    if (!box.empty() && box != "mse") cfg_.set(s, "box_gradient", "exact");
  }
  because(
      cat("objectness by ", focal ? "focal loss" : "cross-entropy",
          ", starting from the labels' share of objects (obj_prior=auto): that start gains most",
          focal ? "" : ", the loss itself proved no difference (docs/results.md)"));
}

void Drafter::set_augmentation() {
  const bool sides = names_hold_sides(facts_.names);
  cfg_.set(0, "flip", sides ? "0" : "1", sides ? "class names hold left or right" : "");
  if (sides) because("flip=0: class names hold left or right, which a mirrored image would swap");
  for (const HeadPlace& head : heads_)
    if (cfg_.value(head.section, "random") != "0")
      cfg_.set(head.section, "random", "0", "1: several input sizes, slower");
}

void Drafter::set_parts() {
  const auto bytes = [&](std::int64_t batch) {
    return static_cast<double>(network(Mode::training, batch).memory().total());
  };
  const double one = bytes(1), per_image = std::max(0., bytes(2) - one);
  const std::int64_t batch = number("batch");
  cfg_.set(0, "subdivisions",
           std::to_string(plan_subdivisions(batch, one - per_image, per_image, budget())));
}

void Drafter::set_schedule(const Schedule& s) {
  cfg_.set(0, "max_batches", std::to_string(s.iterations));
  cfg_.set(0, "burn_in", std::to_string(s.burn_in));
  cfg_.set(0, "policy", "steps");
  cfg_.set(0, "steps", cat(s.first_step, ",", s.second_step));
  cfg_.set(0, "scales", ".1,.1");
}

std::int64_t Drafter::iterations_of_run(double seconds_per_image, std::int64_t batch) const {
  const RunLength& length = options_.length;
  if (length.hours > 0)
    return iterations_of_hours(length.hours, seconds_per_image * static_cast<double>(batch));
  if (length.epochs > 0) return iterations_of_epochs(length.epochs, facts_.images, batch);
  return usual_iterations(facts_.images, batch);
}

double Drafter::images_of_run(double seconds_per_image) const {
  const std::int64_t batch = std::min(number("batch"), kMeasuredBatch);
  return static_cast<double>(batch * iterations_of_run(seconds_per_image, batch));
}

// A rough one where nothing but the time that is printed depends on it.
double Drafter::seconds_per_image() {
  const bool rough = options_.length.hours <= 0;
  const std::int64_t usual = number("batch");
  cfg_.set(0, "batch", std::to_string(std::min(usual, rough ? kGlancedBatch : kMeasuredBatch)));
  cfg_.set(0, "subdivisions", "1");  // those of the network may not divide this batch
  set_schedule(schedule_of(1000));
  set_parts();
  log::info("measuring some training iterations");
  const BenchOptions options{.cfg = name_,
                             .sections = sections(cfg_, name_),
                             .data = options_.data,
                             .bad_labels = options_.bad_labels,
                             .device = options_.device};
  const double seconds = rough ? seconds_per_iteration(options, 0) : seconds_per_iteration(options);
  const double per_image = seconds / static_cast<double>(number("batch"));
  cfg_.set(0, "batch", std::to_string(usual));
  return per_image;
}

// The batch follows from the length and this time.
void Drafter::set_length() {
  const std::int64_t usual = number("batch");
  const double usual_rate = std::stod(cfg_.value(0, "learning_rate"));
  const double per_image = seconds_per_image();
  const auto images = static_cast<double>(facts_.images);
  const std::int64_t batch = plan_batch(usual, images_of_run(per_image));
  cfg_.set(0, "batch", std::to_string(batch));
  cfg_.set(0, "learning_rate", cat(static_cast<float>(rate_for_batch(usual_rate, usual, batch))));
  const Schedule s = schedule_of(iterations_of_run(per_image, batch));
  set_schedule(s);
  because(cat(plural(s.iterations, "iteration"), " of ", plural(batch, "image"), ": ",
              fixed(static_cast<double>(s.iterations * batch) / images, 0), " epochs, about ",
              log::duration(per_image * static_cast<double>(s.iterations * batch)),
              " on this machine (", fixed(1e3 * per_image, 1),
              " ms an image); burn_in, and steps at 80 % and 90 %, go with it"));
}

void Drafter::check_weights() {
  if (options_.weights.empty()) return;
  Network net = network(Mode::training);
  const LoadedWeights l = load_weights(options_.weights, net, {.allow_backbone = true});
  because(cat("weights: ", options_.weights.string(), " fills the first ", l.layers, " of ",
              plural(net.size(), "layer")));
}

std::string Drafter::why_this_network() const {
  if (!options_.like.empty()) return "";
  return options_.weights.empty() ? ", chosen by the objects' sizes" : ", chosen by the weights";
}

Draft Drafter::run() {
  because(cat("network: ", name_, ".cfg", why_this_network(), "; ", plural(facts_.images, "image"),
              ", ", plural(std::ssize(facts_.objects), "object"), ", ",
              plural(facts_.classes, "class")));
  set_classes();
  set_input();
  begins_("while the anchors were clustered");
  set_anchors();
  set_losses();
  set_augmentation();
  check_weights();
  begins_("while some training iterations were measured");
  set_length();
  set_parts();
  begins_("while the data set was compared with the network");
  if (number("subdivisions") > 1)
    because(cat("subdivisions=", number("subdivisions"),
                ": a whole batch at once would take too large a share of the memory"));
  std::string header = cat("# Made by darknet detector init ", options_.data.string(), ":\n");
  for (const std::string& reason : reasons_) header += "# - " + reason + '\n';
  const Network net = network(Mode::training);  // which reads the keys of the losses
  return {header + cfg_.text(), name_, reasons_,
          advise({.net = &net,
                  .names = facts_.names,
                  .train = &facts_.train,
                  .valid = facts_.valid.images.empty() ? nullptr : &facts_.valid})};
}

}  // namespace

std::vector<std::string> draft_networks() {
  return {"small",          "yolov4-tiny", "yolov3-tiny", "yolov2-tiny-voc",
          "yolov4-tiny-3l", "yolov7-tiny", "yolov2-voc",  "yolov3",
          "yolov3-spp",     "yolov4",      "yolov4-csp",  "yolov7"};
}

Draft draft_cfg(const DraftOptions& options, const Begins& begins) {
  DataFacts facts = facts_of(read_data_file(options.data), options.bad_labels);
  return Drafter(options, std::move(facts), begins).run();
}

}  // namespace darknet
