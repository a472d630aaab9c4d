#include "nn/network.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "core/copy.h"
#include "nn/memory_plan.h"
#include "nn/precision.h"
#include "nn/replay.h"

namespace darknet {
namespace {

constexpr auto kNone = static_cast<std::size_t>(-1);

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
  DType reads = DType::f32, writes = DType::f32;  // element types of inputs and output
  // Per source: its output, and the gradient for it, as `reads`; kNone where it writes that anyway.
  std::vector<std::size_t> converted_blocks, converted_gradient_blocks;
};

bool has_trained(Layer& layer) {
  return std::ranges::any_of(layer.parameters(),
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
  DType precision = DType::f32;
  Tensor input;
  Buffer arena, workspace;
  MemoryPlan plan;
  Tuning algorithms;
  LayerObserver* observer = nullptr;
  ReplayedPasses forwards, backwards;
  std::int64_t reshapes = 0;

  const Stream& stream() const { return queue.get(); }
  Ops& library() const { return options.reference ? reference_ops() : ops(options.device.type); }
  std::int64_t size() const { return static_cast<std::int64_t>(nodes.size()); }
  Node& node(std::int64_t i) { return nodes[static_cast<std::size_t>(i)]; }
  bool training() const { return options.mode == Mode::training; }
  std::int64_t backward_moment(std::int64_t i) const { return 2 * size() - 1 - i; }

  void make_layers(std::vector<Section>& cfg);
  void connect();
  void tell_truths();
  void choose_types();
  std::int64_t shape_layers();
  Requirements shape_layer(Node& node);
  bool may_share_input(std::int64_t i);
  DType type_of(std::int64_t source) { return source < 0 ? DType::f32 : node(source).writes; }
  bool converts(const Node& n, std::int64_t source) { return type_of(source) != n.reads; }
  void plan_conversions(std::int64_t i, std::vector<Block>& blocks);
  void plan_arena();
  Block output_block(std::int64_t i);
  Block gradient_block(std::int64_t i);
  TensorView block_view(std::size_t block, const Shape& shape, DType type) const;
  TensorView output(std::int64_t i);
  TensorView gradient(std::int64_t i);
  TensorView input_of(const Node& n, std::size_t k);
  Pass pass_for(const Pass& pass, const Node& node) const;
  void run_forward(const Pass& pass, std::int64_t i);
  GradientSlot slot_for(const Node& n, std::size_t k);
  void run_backward(const Pass& pass, std::int64_t i);
  void forward(const Pass& pass);
  void backward(const Pass& pass);
  void run(ReplayedPasses&, const Pass&, const std::function<void()>& work) const;
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

// The truths of a pass have room for the head that takes most.
void Network::Impl::tell_truths() {
  std::int64_t most = 0;
  for (const Node& n : nodes)
    if (const Head* h = n.layer->head()) most = std::max(most, h->settings().max_truths);
  for (Node& n : nodes) n.layer->set_truths(most);
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

// Layers work in the network's precision but for those that ask for f32; what is read by nothing
// else is written in f32 where that can be done.
void Network::Impl::choose_types() {
  for (Node& n : nodes) n.reads = n.writes = n.layer->works_in_f32() ? DType::f32 : precision;
  for (Node& n : nodes) {
    const bool only_f32 = std::ranges::all_of(
        n.consumers, [&](std::int64_t c) { return node(c).reads == DType::f32; });
    if (only_f32 && !n.consumers.empty() && n.layer->writes_f32()) n.writes = DType::f32;
  }
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
                         .weight_gradient = reached && !n.layer->keys().dont_update,
                         .precision = n.reads,
                         .f32_output = n.writes == DType::f32,
                         .tuning = &algorithms};
  Requirements needs;
  const std::string title = n.layer->title();
  try {
    needs = n.layer->reshape(in, library(), plan);
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
    remember_algorithms(*n.layer, algorithms);
    most_workspace = std::max(most_workspace, n.needs.workspace);
  }
  return most_workspace;
}

Block Network::Impl::output_block(std::int64_t i) {
  Node& n = node(i);
  const std::int64_t never = 2 * size();
  Block block{i, i, n.needs.output.size() * size_of(n.writes)};
  if (n.layer->head() || n.consumers.empty() || options.keep_outputs) block.end = never;
  if (n.wants_gradient && n.needs.needs_output) block.end = std::max(block.end, backward_moment(i));
  for (const std::int64_t c : n.consumers) {
    block.end = std::max(block.end, c);
    if (node(c).wants_gradient && node(c).needs.needs_input && !converts(node(c), i))
      block.end = std::max(block.end, backward_moment(c));
  }
  return block;
}

Block Network::Impl::gradient_block(std::int64_t i) {
  Node& n = node(i);
  if (!n.wants_gradient || n.layer->head()) return {};
  Block block{n.consumers.empty() ? 0 : backward_moment(i), backward_moment(i),
              n.needs.output.size() * size_of(n.writes)};
  for (const std::int64_t c : n.consumers)
    if (node(c).wants_gradient) block.begin = std::min(block.begin, backward_moment(c));
  return block;
}

bool Network::Impl::may_share_input(std::int64_t i) {
  const Node& n = node(i);
  if (training() || options.keep_outputs || n.sources[0] < 0) return false;
  const Node& source = node(n.sources[0]);
  if (n.writes != n.reads || converts(n, n.sources[0])) return false;
  return n.pass_through ||
         (n.needs.in_place && source.consumers.size() == 1 && !source.layer->head() &&
          source.needs.output.size() == n.needs.output.size());
}

void Network::Impl::plan_conversions(std::int64_t i, std::vector<Block>& blocks) {
  Node& n = node(i);
  n.converted_blocks.assign(n.sources.size(), kNone);
  n.converted_gradient_blocks = n.converted_blocks;
  const bool kept = n.wants_gradient && n.needs.needs_input;
  for (std::size_t k = 0; k < n.sources.size(); ++k) {
    const std::int64_t s = n.sources[k];
    if (!converts(n, s)) continue;
    const std::int64_t bytes =
        (s < 0 ? input_shape : node(s).needs.output).size() * size_of(n.reads);
    n.converted_blocks[k] = blocks.size();
    blocks.push_back({i, kept ? backward_moment(i) : i, bytes});
    if (!n.wants_gradient || s < 0 || !node(s).wants_gradient) continue;
    n.converted_gradient_blocks[k] = blocks.size();
    blocks.push_back({backward_moment(i), backward_moment(i), bytes});
  }
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
    plan_conversions(i, blocks);
  }
  plan = plan_memory(blocks);
}

TensorView Network::Impl::block_view(std::size_t block, const Shape& shape, DType type) const {
  return {static_cast<char*>(arena.data()) + plan.offsets[block], type, shape, shape.c};
}

TensorView Network::Impl::output(std::int64_t i) {
  if (i < 0) return input.view();
  return block_view(node(i).output_block, node(i).needs.output, node(i).writes);
}

TensorView Network::Impl::gradient(std::int64_t i) {
  return block_view(node(i).gradient_block, node(i).needs.output, node(i).writes);
}

// What the layer reads of its k-th source.
TensorView Network::Impl::input_of(const Node& n, std::size_t k) {
  const TensorView made = output(n.sources[k]);
  const std::size_t block = n.converted_blocks[k];
  return block == kNone ? made : block_view(block, made.shape, n.reads);
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

void Network::Impl::run_forward(const Pass& pass, std::int64_t i) {
  Node& n = node(i);
  std::vector<TensorView> in;
  for (std::size_t k = 0; k < n.sources.size(); ++k) {
    in.push_back(input_of(n, k));
    if (n.converted_blocks[k] != kNone) copy_pixels(stream(), output(n.sources[k]), in.back());
  }
  n.layer->forward(pass_for(pass, n), in, output(i));
}

// Where layer n puts the gradient of its k-th source.
GradientSlot Network::Impl::slot_for(const Node& n, std::size_t k) {
  const std::int64_t s = n.sources[k];
  if (s < 0 || !node(s).wants_gradient) return {};
  if (const std::size_t block = n.converted_gradient_blocks[k]; block != kNone)
    return {block_view(block, node(s).needs.output, n.reads), false};
  const bool add = std::exchange(node(s).gradient_written, true);
  return {gradient(s), add};
}

void Network::Impl::run_backward(const Pass& pass, std::int64_t i) {
  Node& n = node(i);
  std::vector<TensorView> in;
  std::vector<GradientSlot> slots;
  for (std::size_t k = 0; k < n.sources.size(); ++k) {
    in.push_back(n.needs.needs_input ? input_of(n, k) : TensorView{});
    slots.push_back(slot_for(n, k));
  }
  const bool head = n.layer->head() != nullptr;
  n.layer->backward(pass_for(pass, n), {.in = in,
                                        .out = n.needs.needs_output ? output(i) : TensorView{},
                                        .out_gradient = head ? TensorView{} : gradient(i),
                                        .in_gradient = slots});
  for (std::size_t k = 0; k < n.sources.size(); ++k) {
    if (n.converted_gradient_blocks[k] == kNone) continue;
    const std::int64_t s = n.sources[k];
    put_pixels(stream(), slots[k].view, gradient(s), std::exchange(node(s).gradient_written, true));
  }
}

void Network::Impl::forward(const Pass& pass) {
  for (std::int64_t i = 0; i < size(); ++i) {
    if (node(i).pass_through) continue;
    if (observer) observer->before(i, false);
    run_forward(pass, i);
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

void Network::Impl::run(ReplayedPasses& passes, const Pass& pass,
                        const std::function<void()>& work) const {
  streams(options.device.type).use(options.device);
  if (observer) return work();  // it looks between the layers
  passes.run(stream(), pass, pass.subdivision, work);
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
  net.algorithms = Tuning(net.library().name(options.device));
  if (options.tuning.library() == net.algorithms.library()) net.algorithms = options.tuning;
  net.precision = accepted_precision(net.settings, net.where, net.library(), options.device);
  net.make_layers(cfg);
  net.connect();
  net.tell_truths();
  net.choose_types();
  const std::int64_t usual =
      net.training() ? images_of_part(net.settings, options.replicas, net.where) : 1;
  resize(options.batch > 0 ? options.batch : usual, net.settings.height, net.settings.width);
}

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;

const NetSettings& Network::settings() const { return impl_->settings; }
const Where& Network::where() const { return impl_->where; }
const NetworkOptions& Network::options() const { return impl_->options; }
const Stream& Network::stream() const { return impl_->stream(); }
std::int64_t Network::size() const { return impl_->size(); }
const Tuning& Network::algorithms() const { return impl_->algorithms; }
Layer& Network::layer(std::int64_t i) { return *impl_->node(i).layer; }
const Layer& Network::layer(std::int64_t i) const { return *impl_->node(i).layer; }
std::int64_t Network::reshapes() const { return impl_->reshapes; }
Shape Network::input_shape() const { return impl_->input_shape; }
Shape Network::output_shape(std::int64_t layer) const { return impl_->node(layer).needs.output; }
TensorView Network::input() const { return impl_->input.view(); }
TensorView Network::output(std::int64_t layer) const { return impl_->output(layer); }
void Network::observe(LayerObserver* observer) { impl_->observer = observer; }

TensorView Network::output_gradient(std::int64_t layer) const {
  const Node& n = impl_->node(layer);
  if (!n.wants_gradient || n.layer->head())
    fail(n.layer->title(), ": no gradient reaches its output");
  return impl_->gradient(layer);
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
  ++net.reshapes;
  net.forwards.forget();  // they hold addresses
  net.backwards.forget();
  net.input_shape = shape;
  net.arena = {};  // released before the new one is taken
  net.input = {};
  for (Node& n : net.nodes) n.layer->set_network_size(height, width);
  const std::int64_t workspace = net.shape_layers();
  net.plan_arena();
  require_memory(net.where, net.options.device, shape, net.training(),
                 static_cast<double>(net.plan.bytes) + static_cast<double>(workspace));
  try {
    net.input = Tensor(net.options.device, shape);
    net.arena = Buffer(net.options.device, net.plan.bytes);
    if (workspace > net.workspace.bytes()) net.workspace = Buffer(net.options.device, workspace);
  } catch (const Error& e) {
    fail_at(net.where, "[net]: activations for an input of ", to_string(shape), ": ", e.what(),
            "; ", how_to_need_less(net.training()));
  }
}

void Network::set_algorithms(const Tuning& tuning) {
  if (tuning.library() != algorithms().library())
    fail("choices for ", tuning.library(), " given to a network on ", algorithms().library());
  impl_->algorithms = tuning;
  const Shape shape = std::exchange(impl_->input_shape, {});
  resize(shape.n, shape.h, shape.w);
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

}  // namespace darknet
