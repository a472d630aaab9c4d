// Readers of cfgs and of the files that belong to a network.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "cfg/class_tree.h"
#include "cfg/parse.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/index.h"
#include "core/text.h"
#include "core/tuning.h"
#include "detect/head.h"
#include "detect/running_values.h"
#include "eval/calibration_file.h"
#include "eval/quantization_file.h"
#include "nn/checkpoint.h"
#include "nn/net_settings.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "onnx/files.h"
#include "onnx/import.h"
#include "tests/fuzz/reader_inputs.h"

namespace darknet::testing_fuzz {
namespace {
namespace fs = std::filesystem;

std::vector<Section> sections_of(const std::string& text) {
  std::istringstream in(text);
  return parse_cfg(in, "x.cfg");
}

// cfg: the network too, where it is small enough to be made and run thousands of times.

constexpr const char* kHeadCfg =
    "[net]\nbatch=2\nwidth=32\nheight=32\nchannels=3\nlearning_rate=1e-3\nsteps=10,20\n"
    "scales=.1,.1\npolicy=steps\n[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\n"
    "pad=1\nactivation=leaky\n[maxpool]\nsize=3\nstride=1\n[route]\nlayers=-1,0\n"
    "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1,2\nanchors=1,2, 3,4, 5,6\nclasses=1\nnum=3\nobj_loss=focal\nobj_gamma=2\n";

constexpr const char* kYoloCfg =
    "[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\nlearning_rate=.01\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=mish\n"
    "[convolutional]\nfilters=4\nsize=3\ngroups=2\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-2\nactivation=linear\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    "[maxpool]\nsize=2\nstride=1\n[upsample]\nstride=2\n[route]\nlayers=-1\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=2,3, 5,6\nclasses=2\nnum=2\nmax=5\nobj_loss=ce\niou_loss=ciou\n";

constexpr const char* kRegionCfg =
    "[net]\nbatch=2\nwidth=8\nheight=8\nchannels=1\nadam=1\n[batchnorm]\n[activation]\n"
    "activation=swish\n[convolutional]\nfilters=4\nsize=1\nactivation=leaky\n[reorg]\nstride=2\n"
    "[convolutional]\nfilters=12\nsize=1\nactivation=linear\n[region]\nanchors=1,1, 2,2\n"
    "classes=1\nnum=2\nsoftmax=1\nmax=5\nobj_loss=balanced_ce\n";

constexpr const char* kClassifierCfg =
    "[net]\nbatch=2\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\n"
    "padding=1\ndilation=2\nactivation=relu\n[local_avgpool]\nsize=2\nstride=2\n[dropout]\n"
    "probability=.5\n[avgpool]\n[connected]\noutput=3\nactivation=logistic\n[softmax]\n"
    "[cost]\ntype=sse\n";

std::vector<std::string> cfg_samples() { return {kHeadCfg, kYoloCfg, kRegionCfg, kClassifierCfg}; }

// The largest value of a key whose product sizes memory and time; -1: any.
std::int64_t small_limit(std::string_view key) {
  constexpr std::pair<std::string_view, std::int64_t> kLimits[] = {
      {"width", 32},       {"height", 32},  {"batch", 4},    {"channels", 8},
      {"filters", 32},     {"output", 32},  {"size", 9},     {"stride", 2},
      {"stride_x", 2},     {"stride_y", 2}, {"padding", 32}, {"dilation", 32},
      {"subdivisions", 4}, {"num", 20},     {"classes", 50}, {"max", 500}};
  for (const auto& [name, limit] : kLimits)
    if (key == name) return limit;
  return -1;
}

// Whether the network takes megabytes and milliseconds. Upsampling doubles the size each time.
bool is_small(const std::string& text) {
  std::istringstream in(text);
  LineReader lines(in, "x.cfg");
  int sections = 0, upsamples = 0;
  for (std::string_view line; lines.next(line);) {
    const auto first = line.find_first_not_of('[');
    if (line.starts_with('[')) ++sections;
    if (line.starts_with("[upsample") || line.starts_with("[reorg")) ++upsamples;
    const auto eq = line.find('=');
    if (first == line.npos || eq == line.npos) continue;
    const std::int64_t limit = small_limit(trim(line.substr(0, eq)));
    const std::string_view value = trim(line.substr(eq + 1));
    std::int64_t number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (limit >= 0 && (read.ec != std::errc{} || number > limit)) return false;
  }
  return sections <= 16 && upsamples <= 2;
}

// One object in every other image, and two where there is room.
struct SampleTruths {
  std::int64_t capacity = 1;
  std::vector<Truth> data;
  std::vector<std::int32_t> counts;
  explicit SampleTruths(const Network& net) {
    capacity = std::max(capacity, net.layer(0).context().truths);
    const std::int64_t images = net.input_shape().n;
    data.resize(to_size(images * capacity), {{.5f, .25f, .25f, .5f}, 0});
    for (std::int64_t n = 0; n < images; ++n)
      counts.push_back(static_cast<std::int32_t>(std::min(capacity, 1 + n % 2)));
  }
  Truths view() const { return {data.data(), counts.data(), std::ssize(counts), capacity}; }
};

void run_network(const std::vector<Section>& cfg, Mode mode) {
  Network net(cfg, {.mode = mode, .threads = 1});
  net.initialise();
  net.parameters_changed();
  float* const in = static_cast<float*>(net.input().data);
  for (std::int64_t i = 0; i < net.input_shape().size(); ++i)
    in[i] = static_cast<float>(i % 17) / 17;
  const SampleTruths truths(net);
  const StepState step;
  Pass pass{.stream = net.stream(), .mode = mode, .step = &step};
  if (mode == Mode::training) pass.truths = truths.view();
  net.forward(pass);
  if (mode == Mode::training) {
    net.backward(pass);
    return;
  }
  if (net.heads().empty()) return;
  for (const InputDetection& d : detections(net, 0, .1f))
    require(d.class_id >= 0 && d.probability >= 0 && d.probability <= 1, "a detection's numbers");
}

void read_cfg_bytes(const std::string& text) {
  std::vector<Section> cfg = sections_of(text);
  if (is_small(text)) {
    run_network(cfg, Mode::inference);
    run_network(cfg, Mode::training);
    return;
  }
  read_net(cfg.front());
  for (std::size_t i = 1; i < cfg.size(); ++i)
    make_layer(cfg[i],
               {.index = static_cast<std::int64_t>(i) - 1, .net_width = 32, .net_height = 32});
}

// weights and state: of this network.

constexpr const char* kStoredCfg =
    "[net]\nwidth=8\nheight=8\nchannels=3\nbatch=1\nlearning_rate=.1\n[convolutional]\n"
    "batch_normalize=1\nfilters=2\nsize=3\npad=1\nactivation=leaky\n[convolutional]\nfilters=7\n"
    "size=1\nactivation=linear\n[yolo]\nclasses=2\nnum=1\nanchors=4,4\n"
    "cls_loss=equalized_focal\n";

struct Stored {
  Network net{sections_of(kStoredCfg), {.mode = Mode::training, .threads = 1}};
  Optimizer optimizer{net, net.settings()};
  Stored() { net.initialise(); }
  RunningValues& running() const { return *net.heads().at(0).head->running().at(0); }
};

Stored& stored() {
  static Stored one;
  return one;
}

std::vector<std::string> weights_samples() {
  Stored fresh;
  std::string old = weights_bytes(fresh.net, 64);
  const std::string sound = old;
  old[4] = 1;  // version 0.1 counts images in 32 bits
  old.erase(16, 4);
  return {sound, old};
}

void read_weights_bytes(const std::string& bytes) {
  const fs::path path = scratch_file("x.weights", bytes);
  for (const bool backbone : {false, true}) try {
      load_weights(path, stored().net, {.allow_backbone = backbone});
    } catch (const Error&) {
      if (backbone) throw;
    }
  for (const Parameter* p : stored().net.parameters())
    for (const float v : p->value.to_host(stored().net.stream()))
      require(std::isfinite(v), "weights that are not finite were accepted");
}

// Without the checksum at the end, which a fuzzer would never find; the reader adds it.
std::vector<std::string> state_samples() {
  Stored fresh;
  fresh.running().copy_from(fresh.net.stream(), std::vector<double>{.125, 2, 1.5, 3e-4});
  const fs::path path = scratch_file("sample.state", "");
  TrainingState state{.iteration = 7, .seen = 14, .seed = 3, .device = "CPU", .threads = 1};
  save_state(path, state, fresh.net, fresh.optimizer);
  const std::string bytes = read_file(path, 1 << 20);
  return {bytes.substr(0, bytes.size() - sizeof(std::uint64_t))};
}

void read_state_bytes(const std::string& bytes) {
  const std::uint64_t sum = checksum_of(bytes);
  const fs::path path =
      scratch_file("x.state", bytes + std::string(reinterpret_cast<const char*>(&sum), sizeof sum));
  const TrainingState state = read_state(path);
  require(state.iteration >= 0 && state.devices >= 1, "a state that makes no sense was accepted");
  load_state(path, stored().net, stored().optimizer);
  for (const double v : stored().running().to_host(stored().net.stream()))
    require(std::isfinite(v) && v >= 0, "sums of gradients that make no sense were accepted");
}

// calibration: with the checksum of this network, or the reader would look no further.

const CalibratedNetwork kCalibrated{.weights = 7, .obj_calibrate = {true, false}};

std::vector<std::string> calibration_samples() {
  std::vector<std::string> all;
  for (const ConfidenceMap& map : {ConfidenceMap::of_temperature(1.5),
                                   ConfidenceMap::of_knots({{.1, .05}, {.5, .5}, {.9, .75}})}) {
    const fs::path path = scratch_file("sample.calibration.json", "");
    write_calibration(path, kCalibrated, {.map = map, .images = 3});
    all.push_back(read_file(path, 1 << 20));
  }
  return all;
}

void read_calibration_bytes(const std::string& bytes) {
  const ConfidenceMap map =
      read_calibration(scratch_file("x.calibration.json", bytes), kCalibrated);
  float last = 0;
  for (float p = 0; p <= 1; p += .05f) {
    require(map(p) >= last && map(p) <= 1, "a map of confidences that falls");
    last = map(p);
  }
}

// quantization: likewise; what is read goes to a network of these layers.

const NetworkIdentity kQuantized{.weights = 7, .layers = 9};

std::vector<std::string> quantization_samples() {
  const fs::path path = scratch_file("sample.int8", "");
  QuantizationReport report{
      .layers = {{0, Kept::int8, .01, {.01f, 20, {.5f, 1e-3f}}}, {1, Kept::before_head, 0, {}}},
      .error = .01,
      .images = 3};
  write_quantization(path, kQuantized, report);
  return {read_file(path, 1 << 20)};
}

void read_quantization_bytes(const std::string& bytes) {
  static Network net(sections_of(kStoredCfg), {.threads = 1});
  const Quantization all = read_quantization(scratch_file("x.int8", bytes), kQuantized);
  for (const auto& [layer, q] : all) {
    require(layer >= 0 && q.scale > 0 && std::isfinite(q.scale), "a layer or a scale");
    require(q.zero_point >= 0 && q.zero_point <= 255, "a zero point that is no byte");
    for (const float range : q.ranges) require(range >= 0 && std::isfinite(range), "a range");
  }
  net.set_quantization(all);
  net.parameters_changed();
  net.forward({.stream = net.stream()});
}

// tuning

std::vector<std::string> tuning_samples() {
  Tuning tuning("a card (9.0), a library 1.2.3");
  for (const std::int64_t size : {8, 16}) {
    const ConvSpec spec{.in = {1, size, size, 3}, .filters = 16, .size_y = 3, .size_x = 3};
    tuning.put(conv_use(ConvDirection::forward, spec, {}), {"1 fma", .25});
  }
  return {tuning.lines()};
}

void read_tuning_bytes(const std::string& bytes) {
  for (const Tuning& t : parse_tunings(bytes, "x.tuning"))
    require(parse_tunings(t.lines(), "again").size() == 1, "a table that is read otherwise again");
}

// onnx: weights for the network of `weights` and `state`.

OnnxTensor constant(const char* name, std::vector<std::int64_t> dims) {
  OnnxTensor t{.name = name, .dims = std::move(dims)};
  std::int64_t count = 1;
  for (const std::int64_t d : t.dims) count *= d;
  t.floats.assign(to_size(count), .5f);
  return t;
}

std::vector<std::string> onnx_samples() {
  OnnxModel model{.name = "sample"};
  const std::vector<std::int64_t> ones{1, 1, 1, 1};
  model.constants = {constant("w", {2, 3, 3, 3}), constant("n", {2}), constant("v", {7, 2, 1, 1}),
                     constant("b", {7})};
  model.nodes = {
      {"Conv", "0", {"in", "w"}, {"x"}, {{"pads", ones}, {"group", std::int64_t{1}}}},
      {"BatchNormalization", "1", {"x", "n", "n", "n", "n"}, {"y"}, {{"epsilon", 1e-5f}}},
      {"Conv", "2", {"y", "v", "b"}, {"z"}, {{"auto_pad", std::string("NOTSET")}}}};
  model.inputs = {{"in", OnnxType::f32, {"batch", 3, 8, 8}}};
  model.outputs = {{"z", OnnxType::f32, {"batch", 7, 8, 8}}};
  model.metadata = {{"names", "{0: \"a\"}"}};
  const std::string whole = onnx_bytes(model);
  for (OnnxTensor& t : model.constants) t.type = OnnxType::f16;
  return {whole, onnx_bytes(model)};
}

void read_onnx_model(const std::string& bytes) {
  const OnnxModel model = read_onnx(scratch_file("x.onnx", bytes));
  require(import_parameters(model, stored().net) == 2, "layers that got no weights");
  for (const Parameter* p : stored().net.parameters())
    for (const float v : p->value.to_host(stored().net.stream()))
      require(std::isfinite(v), "weights that are not finite were accepted");
}

// class_tree

std::vector<std::string> class_tree_samples() {
  return {"a -1\nb -1\nc 0\nd 0\ne 1\nf 2\n", "\xEF\xBB\xBFn01 -1\r\nn02\t0\r\n\r\n"};
}

void read_class_tree_bytes(const std::string& bytes) {
  const ClassTree tree = read_class_tree(scratch_file("x.tree", bytes));
  const auto count = static_cast<std::int32_t>(tree.nodes.size());
  require(count > 0 && tree.groups.front() == 0 && tree.groups.back() == count, "groups");
  for (std::int32_t n = 0; n < count; ++n) {
    const ClassNode& node = tree.nodes[to_size(n)];
    require(node.parent >= -1 && node.parent < n, "a parent behind its child");
    require(node.siblings <= n && n < node.siblings_end, "a node beside its siblings");
    require(node.leaf() || (node.children > n && node.children_end <= count), "children");
  }
  std::vector<float> probabilities(tree.nodes.size(), .5f);
  multiply_down(tree, probabilities);
  require(deepest_node(tree, probabilities, 0).node >= 0, "no node was found");
}

#if defined(DARKNET_ONNX)
constexpr bool kHasOnnx = true;
#else
constexpr bool kHasOnnx = false;
#endif

}  // namespace

std::vector<FuzzedReader> network_readers() {
  std::vector<FuzzedReader> all{
      {"cfg", cfg_samples, read_cfg_bytes, 2000},
      {"class_tree", class_tree_samples, read_class_tree_bytes, 2000},
      {"weights", weights_samples, read_weights_bytes, 700},
      {"state", state_samples, read_state_bytes, 700},
      {"calibration", calibration_samples, read_calibration_bytes, 1500},
      {"quantization", quantization_samples, read_quantization_bytes, 1000},
      {"tuning", tuning_samples, read_tuning_bytes, 3000}};
  if (kHasOnnx) all.push_back({"onnx", onnx_samples, read_onnx_model, 700});
  return all;
}

}  // namespace darknet::testing_fuzz
