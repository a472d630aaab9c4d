#include "nn/network.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string_view>

#include "nn/memory_plan.h"

namespace darknet {
namespace {

// One layer and where its tensors lie. Moments of a step: layer i runs forward at i and backward at
// 2N - 1 - i.
struct Node {
  LayerPtr layer;
  std::vector<std::int64_t> sources;
  std::vector<std::int64_t> consumers;
  Requirements needs;
  bool wants_gradient = false;  // its backward runs
  bool pass_through = false;    // absorbed by the layer below
  bool gradient_written = false;
  std::size_t output_block = 0, gradient_block = 0, saved_block = 0;
};

// Work that is done as it stands the first time, when layers and libraries may still prepare
// themselves, recorded the second time where the device can, and replayed from then on.
struct Replayed {
  bool done_once = false;
  const void* truths = nullptr;  // what it was done with; others need a new recording
  const void* step = nullptr;
  const void* targets = nullptr;
  std::unique_ptr<Recording> recording;

  bool fits(const Pass& p) const {
    return truths == p.truths.data && step == p.step && targets == p.targets.data;
  }
};

bool has_trained(Layer& layer) {
  const auto parameters = layer.parameters();
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const Parameter* p) { return p->trained() && p->update; });
}

}  // namespace

struct Network::Impl {
  NetworkOptions options;
  NetSettings settings;
  Where where;  // of [net]
  OwnedStream queue;
  std::vector<Node> nodes;
  std::int64_t stop = -1;  // the backward pass ends above this layer
  Shape input_shape;
  Tensor input;
  Buffer arena, workspace;
  MemoryPlan plan;
  LayerObserver* observer = nullptr;
  std::map<std::int64_t, Replayed> forwards, backwards;  // by subdivision

  const Stream& stream() const { return queue.get(); }
  std::int64_t size() const { return static_cast<std::int64_t>(nodes.size()); }
  Node& node(std::int64_t i) { return nodes[static_cast<std::size_t>(i)]; }
  bool training() const { return options.mode == Mode::training; }
  std::int64_t backward_moment(std::int64_t i) const { return 2 * size() - 1 - i; }

  void make_layers(std::vector<Section>& cfg);
  void connect();
  std::int64_t shape_layers();
  Requirements shape_layer(Node& node);
  bool may_share_input(std::int64_t i);
  void plan_arena();
  void require_memory(std::int64_t most_workspace) const;
  Block output_block(std::int64_t i);
  Block gradient_block(std::int64_t i);
  TensorView block_view(std::size_t block, const Shape& shape) const;
  TensorView output(std::int64_t i);
  Pass pass_for(const Pass& pass, const Node& node) const;
  void run_backward(const Pass& pass, std::int64_t i);
  void forward(const Pass& pass);
  void backward(const Pass& pass);
  void run(std::map<std::int64_t, Replayed>& recorded, const Pass& pass,
           const std::function<void()>& work);
};

void Network::Impl::make_layers(std::vector<Section>& cfg) {
  LayerContext context{.net_width = settings.width,
                       .net_height = settings.height,
                       .batch = settings.batch,
                       .mode = options.mode,
                       .exact = options.exact,
                       .device = options.device};
  if (cfg.size() < 2) fail_at(cfg[0].where(), "no layer after [net]");
  for (std::size_t i = 1; i < cfg.size(); ++i) {
    context.index = static_cast<std::int64_t>(i) - 1;
    nodes.push_back({.layer = make_layer(cfg[i], context)});
  }
}

void Network::Impl::connect() {
  for (std::int64_t i = 0; i < size(); ++i) {
    Node& n = node(i);
    n.sources = n.layer->sources();
    if (n.layer->keys().stopbackward) stop = i;
    for (const std::int64_t s : n.sources) {
      if (s < -1 || s >= i)
        fail(n.layer->title(), ": reads layer ", s, ", which does not come before it");
      if (s >= 0) node(s).consumers.push_back(i);
    }
  }
  for (std::int64_t i = 0; i + 1 < size(); ++i)
    if (node(i).consumers == std::vector<std::int64_t>{i + 1})
      node(i + 1).pass_through = node(i).layer->absorb(*node(i + 1).layer);
}

Requirements Network::Impl::shape_layer(Node& n) {
  std::vector<Shape> in;
  bool source_wants = false;
  for (const std::int64_t s : n.sources) {
    in.push_back(s < 0 ? input_shape : node(s).needs.output);
    source_wants |= s >= 0 && node(s).wants_gradient;
  }
  const bool reached =
      training() && n.layer->context().index > stop && !n.layer->keys().onlyforward;
  const PlanOptions plan{.mode = options.mode,
                         .exact = options.exact,
                         .deterministic = options.deterministic,
                         .input_gradient = reached && source_wants,
                         .weight_gradient = reached && !n.layer->keys().dont_update};
  Requirements needs;
  const std::string title = n.layer->title();
  try {
    needs =
        n.layer->reshape(in, options.reference ? reference_ops() : ops(options.device.type), plan);
    checked_size(needs.output);
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(title)) throw;
    throw Error(cat(title, ": ", e.what()));
  }
  n.wants_gradient = reached && (source_wants || has_trained(*n.layer));
  return needs;
}

std::int64_t Network::Impl::shape_layers() {
  std::int64_t most_workspace = 0;
  for (Node& n : nodes) {
    n.needs = shape_layer(n);
    most_workspace = std::max(most_workspace, n.needs.workspace);
  }
  return most_workspace;
}

// Asked before anything is allocated: a system that promises more memory than it has would end the
// program, or others, once it is touched.
void Network::Impl::require_memory(std::int64_t most_workspace) const {
  constexpr double kGiB = 1 << 30;
  const auto needed = static_cast<double>(plan.bytes) + static_cast<double>(most_workspace) +
                      static_cast<double>(input_shape.size()) * sizeof(float);
  const auto there =
      static_cast<double>(darknet::memory(options.device.type).capacity(options.device));
  if (needed > there)
    fail_at(where, "[net]: ", input_shape.n, " images of ", input_shape.w, 'x', input_shape.h,
            " at a time need ", std::ceil(needed / kGiB), " GiB of memory, there are ",
            std::floor(there / kGiB),
            training() ? "; a smaller batch, more subdivisions or a smaller input need less"
                       : "; a smaller input needs less");
}

Block Network::Impl::output_block(std::int64_t i) {
  Node& n = node(i);
  const std::int64_t never = 2 * size();
  Block block{i, i, n.needs.output.size() * size_of(DType::f32)};
  if (n.layer->head() || n.consumers.empty() || options.keep_outputs) block.end = never;
  if (n.wants_gradient && n.needs.needs_output) block.end = std::max(block.end, backward_moment(i));
  for (const std::int64_t c : n.consumers) {
    block.end = std::max(block.end, c);
    if (node(c).wants_gradient && node(c).needs.needs_input)
      block.end = std::max(block.end, backward_moment(c));
  }
  return block;
}

Block Network::Impl::gradient_block(std::int64_t i) {
  Node& n = node(i);
  if (!n.wants_gradient || n.layer->head()) return {};
  Block block{n.consumers.empty() ? 0 : backward_moment(i), backward_moment(i),
              n.needs.output.size() * size_of(DType::f32)};
  for (const std::int64_t c : n.consumers)
    if (node(c).wants_gradient) block.begin = std::min(block.begin, backward_moment(c));
  return block;
}

bool Network::Impl::may_share_input(std::int64_t i) {
  const Node& n = node(i);
  if (training() || options.keep_outputs || n.sources[0] < 0) return false;
  const Node& source = node(n.sources[0]);
  return n.pass_through ||
         (n.needs.in_place && source.consumers.size() == 1 && !source.layer->head() &&
          source.needs.output.size() == n.needs.output.size());
}

void Network::Impl::plan_arena() {
  std::vector<Block> blocks;
  const auto add = [&](const Block& b) {
    blocks.push_back(b);
    return blocks.size() - 1;
  };
  for (std::int64_t i = 0; i < size(); ++i) {
    Node& n = node(i);
    if (may_share_input(i)) {
      n.output_block = node(n.sources[0]).output_block;
      Block& shared = blocks[n.output_block];
      shared.end = std::max(shared.end, output_block(i).end);
    } else {
      n.output_block = add(output_block(i));
    }
    n.gradient_block = add(gradient_block(i));
    n.saved_block = add({i, n.wants_gradient ? backward_moment(i) : i, n.needs.saved});
  }
  plan = plan_memory(blocks);
}

TensorView Network::Impl::block_view(std::size_t block, const Shape& shape) const {
  return {static_cast<char*>(arena.data()) + plan.offsets[block], DType::f32, shape, shape.c};
}

TensorView Network::Impl::output(std::int64_t i) {
  return i < 0 ? input.view() : block_view(node(i).output_block, node(i).needs.output);
}

Pass Network::Impl::pass_for(const Pass& pass, const Node& n) const {
  return {.stream = stream(),
          .mode = options.mode,
          .workspace = workspace.data(),
          .saved = static_cast<char*>(arena.data()) + plan.offsets[n.saved_block],
          .step = pass.step,
          .seed = pass.seed,
          .subdivision = pass.subdivision,
          .truths = pass.truths,
          .targets = pass.targets};
}

void Network::Impl::run_backward(const Pass& pass, std::int64_t i) {
  Node& n = node(i);
  std::vector<TensorView> in;
  std::vector<GradientSlot> slots;
  for (const std::int64_t s : n.sources) {
    in.push_back(n.needs.needs_input ? output(s) : TensorView{});
    GradientSlot slot;
    if (s >= 0 && node(s).wants_gradient) {
      slot = {block_view(node(s).gradient_block, node(s).needs.output), node(s).gradient_written};
      node(s).gradient_written = true;
    }
    slots.push_back(slot);
  }
  const bool head = n.layer->head() != nullptr;
  n.layer->backward(
      pass_for(pass, n),
      {.in = in,
       .out = n.needs.needs_output ? output(i) : TensorView{},
       .out_gradient = head ? TensorView{} : block_view(n.gradient_block, n.needs.output),
       .in_gradient = slots});
}

void Network::Impl::forward(const Pass& pass) {
  for (std::int64_t i = 0; i < size(); ++i) {
    Node& n = node(i);
    if (n.pass_through) continue;
    std::vector<TensorView> in;
    for (const std::int64_t s : n.sources) in.push_back(output(s));
    if (observer) observer->before(i, false);
    n.layer->forward(pass_for(pass, n), in, output(i));
    if (observer) observer->after(i, false);
  }
}

void Network::Impl::backward(const Pass& pass) {
  for (Node& n : nodes) n.gradient_written = n.consumers.empty();
  for (std::int64_t i = size() - 1; i >= 0; --i) {
    const Node& n = node(i);
    if (!n.wants_gradient || !(n.gradient_written || n.layer->head())) continue;
    if (observer) observer->before(i, true);
    run_backward(pass, i);
    if (observer) observer->after(i, true);
  }
}

void Network::Impl::run(std::map<std::int64_t, Replayed>& recorded, const Pass& pass,
                        const std::function<void()>& work) {
  Streams& device = streams(options.device.type);
  device.use(options.device);
  if (observer) return work();  // it looks between the layers
  Replayed& r = recorded[pass.subdivision];
  if (!r.fits(pass))
    r = {.truths = pass.truths.data, .step = pass.step, .targets = pass.targets.data};
  if (r.done_once && !r.recording) r.recording = device.record(stream(), work);
  r.done_once = true;
  r.recording ? r.recording->replay(stream()) : work();
}

Network::Network(std::vector<Section> cfg, const NetworkOptions& options)
    : impl_(std::make_unique<Impl>()) {
  Impl& net = *impl_;
  net.options = options;
  net.queue =
      OwnedStream({.device = options.device, .order = options.order, .threads = options.threads});
  if (cfg.empty()) fail("a cfg without sections");
  net.settings = read_net(cfg[0]);
  net.where = cfg[0].where();
  if (options.width > 0) net.settings.width = options.width;
  if (options.height > 0) net.settings.height = options.height;
  net.make_layers(cfg);
  net.connect();
  const std::int64_t part = net.settings.batch / net.settings.subdivisions;
  const std::int64_t batch = options.batch > 0 ? options.batch : net.training() ? part : 1;
  resize(batch, net.settings.height, net.settings.width);
}

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;

const NetSettings& Network::settings() const { return impl_->settings; }
const Where& Network::where() const { return impl_->where; }
const NetworkOptions& Network::options() const { return impl_->options; }
const Stream& Network::stream() const { return impl_->stream(); }
std::int64_t Network::size() const { return impl_->size(); }
Layer& Network::layer(std::int64_t i) { return *impl_->node(i).layer; }
const Layer& Network::layer(std::int64_t i) const { return *impl_->node(i).layer; }
Shape Network::input_shape() const { return impl_->input_shape; }
Shape Network::output_shape(std::int64_t layer) const { return impl_->node(layer).needs.output; }
TensorView Network::input() const { return impl_->input.view(); }
TensorView Network::output(std::int64_t layer) const { return impl_->output(layer); }
void Network::observe(LayerObserver* observer) { impl_->observer = observer; }

TensorView Network::output_gradient(std::int64_t layer) const {
  const Node& n = impl_->node(layer);
  if (!n.wants_gradient || n.layer->head())
    fail(n.layer->title(), ": no gradient reaches its output");
  return impl_->block_view(n.gradient_block, n.needs.output);
}

std::vector<HeadAt> Network::heads() const {
  std::vector<HeadAt> heads;
  for (std::int64_t i = 0; i < size(); ++i)
    if (Head* h = impl_->node(i).layer->head()) heads.push_back({i, h});
  return heads;
}

std::vector<Parameter*> Network::parameters(std::int64_t end) const {
  std::vector<Parameter*> all;
  for (std::int64_t i = 0; i < (end < 0 ? size() : std::min(end, size())); ++i)
    for (Parameter* p : impl_->node(i).layer->parameters()) all.push_back(p);
  return all;
}

void Network::initialise() {
  for (Node& n : impl_->nodes) n.layer->initialise(impl_->options.seed);
}

void Network::parameters_changed() {
  streams(options().device.type).use(options().device);
  for (Node& n : impl_->nodes)
    n.layer->parameters_changed(impl_->stream(), impl_->workspace.data());
}

void Network::resize(std::int64_t batch, std::int64_t height, std::int64_t width) {
  Impl& net = *impl_;
  const Shape shape{batch, height, width, net.settings.channels};
  if (shape == net.input_shape) return;
  try {
    checked_size(shape);
  } catch (const Error& e) {
    fail_at(net.where, "[net]: the input's ", e.what());
  }
  streams(net.options.device.type).use(net.options.device);
  net.forwards.clear();  // they hold addresses
  net.backwards.clear();
  net.input_shape = shape;
  net.arena = {};  // released before the new one is taken
  net.input = {};
  for (Node& n : net.nodes) n.layer->set_network_size(height, width);
  const std::int64_t workspace = net.shape_layers();
  net.plan_arena();
  net.require_memory(workspace);
  net.input = Tensor(net.options.device, shape);
  net.arena = Buffer(net.options.device, net.plan.bytes);
  if (workspace > net.workspace.bytes()) net.workspace = Buffer(net.options.device, workspace);
}

void Network::forward(const Pass& pass) {
  impl_->run(impl_->forwards, pass, [&] { impl_->forward(pass); });
}

void Network::backward(const Pass& pass) {
  if (!impl_->training()) fail("backward of a network made for inference");
  impl_->run(impl_->backwards, pass, [&] { impl_->backward(pass); });
}

void Network::zero_gradients() {
  for (Parameter* p : parameters())
    if (!p->gradient.empty()) p->gradient.zero(impl_->stream());
}

MemoryUse Network::memory() const {
  MemoryUse use;
  for (const Parameter* p : parameters()) {
    use.parameters += p->value.bytes();
    use.parameter_gradients += p->gradient.bytes();
  }
  use.activations = impl_->input.bytes() + impl_->arena.bytes();
  use.workspace = impl_->workspace.bytes();
  return use;
}

std::vector<Detection> detections(const Network& net, std::int64_t image, float threshold) {
  std::vector<Detection> found;
  std::vector<float> host;
  for (const HeadAt& at : net.heads()) {
    const TensorView one = net.output(at.layer).images(image, 1);
    View<const float> view = one.as<float>();
    if (net.stream().device.type != DeviceType::cpu) {
      host.resize(static_cast<std::size_t>(one.shape.size()));
      darknet::memory(DeviceType::cuda)
          .copy_out(net.stream(), host.data(), one.data, host.size() * sizeof(float));
      darknet::memory(DeviceType::cuda).synchronize(net.stream());
      view.data = host.data();
    }
    at.head->decode(view, net.input_shape(), threshold, found);
  }
  return found;
}

}  // namespace darknet
