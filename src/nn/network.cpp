#include "nn/network.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "core/copy.h"
#include "core/device_guard.h"
#include "core/log.h"
#include "core/out_of_memory.h"
#include "core/parts.h"
#include "nn/classifier_keys.h"
#include "nn/network_impl.h"
#include "nn/precision.h"
#include "nn/tuning_use.h"

namespace darknet {
namespace {

// Heads that divide by positives share one count of them (train/step.h), so one obj_norm.
void require_one_norm(const Network& net) {
  const std::vector<HeadAt> heads = net.heads();
  const HeadAt* first = nullptr;
  for (const HeadAt& at : heads) {
    const ObjectnessNorm norm = at.head->settings().objectness_norm;
    if (norm == ObjectnessNorm::images) continue;
    if (!first) first = &at;
    if (const ObjectnessNorm other = first->head->settings().objectness_norm; norm != other)
      fail(net.layer(at.layer).title(), ": obj_norm=", name_of(norm), ", but ",
           net.layer(first->layer).title(), " has obj_norm=", name_of(other),
           "; heads that divide by positives share one count, so give them the same");
  }
}

// `cfg`: the sections that the network was made from. The last head decides (detect/head.h).
void require_free_size(const Network& net, std::span<const Section> cfg) {
  const std::vector<HeadAt> heads = net.heads();
  if (heads.empty() || heads.back().head->settings().augmentation.random == 0) return;
  for (std::int64_t i = 0; i < net.size(); ++i)
    if (net.layer(i).fixes_input_size())
      cfg[to_size(heads.back().layer + 1)].fail(
          "random", cat("it trains with inputs of several sizes, and ", net.layer(i).title(),
                        " has parameters for one size alone; set random=0"));
}

// Nothing learns from what comes behind the last head, and nothing reads it.
void note_layers_behind_heads(const Network& net, std::span<const Section> cfg) {
  const std::vector<HeadAt> heads = net.heads();
  const std::int64_t first = heads.empty() ? net.size() : heads.back().layer + 1;
  if (first >= net.size()) return;
  const Section& section = cfg[to_size(first + 1)];
  log::warn(cat(to_string(section.where()), ": [", section.type(), "] has no effect, nor has what ",
                "follows it: there is no detection head behind it"));
}

template <class Counts>
std::string overrides_of(const Section& section, const Counts& counts) {
  std::string list;
  for (const auto& [key, given] : section.overrides())
    if (counts(key)) list += ", " + given;
  return list;
}

bool any_key(const std::string&) { return true; }

// max_batches only says how fast DropBlock grows, which is no layer's error.
bool is_layer_key(const std::string& key) {
  if (key == "max_batches") return false;
  KeyDocs keys;
  keys.add(LayerKeys{});
  return std::ranges::count(keys.docs(), key, &KeyDoc::key) > 0;
}

// What layers follow from.
std::string overrides_for_layers(std::span<const Section> cfg) {
  std::string list = overrides_of(cfg.front(), is_layer_key);
  for (const Section& layer : cfg.subspan(1)) list += overrides_of(layer, any_key);
  return list;
}

LayerContext context_of(const LayerKeys& net, const NetworkOptions& options) {
  return {.net_width = net.width,
          .net_height = net.height,
          .burn_in = net.burn_in,
          .max_batches = net.max_batches,
          .rejection = net.rejection,
          .mode = options.mode,
          .device = options.device};
}

// An error of `work` that names a line of the cfg may come from what the command line changed
// elsewhere: "; changed by -set net.0.width=96" is added. `overrides`: ", -set net.0.width=96".
template <class Work>
void naming_overrides(const std::string& overrides, const Work& work) {
  try {
    work();
  } catch (const DeviceOutOfMemory&) {
    throw;
  } catch (const Error& e) {
    const bool named = std::string_view(e.what()).starts_with("-");  // the assignment itself
    if (named || overrides.empty()) throw;
    throw Error(cat(e.what(), "; changed by ", overrides.substr(2)), e.exit_code());
  }
}

// Whether the text names the key as a word of its own.
bool names_key(std::string_view text, std::string_view key) {
  const auto is_letter = [&](std::size_t at) {
    return at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  for (auto at = text.find(key); at != text.npos; at = text.find(key, at + 1))
    if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + key.size())) return true;
  return false;
}

// The same of [net] itself: only the keys that the error is about.
template <class Work>
void naming_net_overrides(const Section& net, const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    const std::string what = e.what();
    naming_overrides(
        overrides_of(net, [&](const std::string& key) { return names_key(what, key); }),
        [] { throw; });
  }
}

constexpr const char* kQuantizeAnew = "; darknet quantize makes them anew";

void require_ranges(const Network& net, std::int64_t layer, const ConvQuantization& q) {
  if (layer < 0 || layer >= net.size())
    fail("there is no layer ", layer, " to quantise: the network has ", net.size(), kQuantizeAnew);
  const auto work = net.layer(layer).convolution();
  if (!work) fail(net.layer(layer).title(), ": it has no convolution to quantise", kQuantizeAnew);
  if (std::ssize(q.ranges) != work->spec.filters)
    fail(net.layer(layer).title(), ": ", q.ranges.size(), " ranges for ", work->spec.filters,
         " filters", kQuantizeAnew);
  const auto require = [&](bool sound, const char* what, auto value, const char* expected) {
    if (!sound)
      fail(net.layer(layer).title(), ": its ", what, " is ", value, "; expected ", expected,
           kQuantizeAnew);
  };
  require(std::isnormal(q.scale) && q.scale > 0, "scale", q.scale, "a number above 0");
  require(q.zero_point >= 0 && q.zero_point <= 255, "zero point", q.zero_point, "0 to 255");
  for (const float r : q.ranges)
    require(std::isfinite(r) && r >= 0, "range of a filter", r, "a number, at least 0");
}

}  // namespace

// Warns where it costs more than it saves.
void Network::Impl::require_int8() const {
  const std::string where_int8 = cat(to_string(where), ": int8: ");
  if (training()) fail(where_int8, "a network is trained in f32, bf16 or f16");
  if (precision != DType::f32)
    fail(where_int8, "other layers compute in f32, not in ", name_of(precision));
  try {
    if (const std::string note = library().accept_int8(); !note.empty())
      log::warn(cat("int8: ", note));
  } catch (const Error& e) {
    fail(where_int8, e.what());
  }
}

void Network::Impl::make_layers(std::vector<Section>& cfg) {
  LayerContext context = context_of(settings, options);
  if (cfg.size() < 2) fail_at(cfg[0].where(), "no layer after [net]");
  for (std::size_t i = 1; i < cfg.size(); ++i) {
    context.index = static_cast<std::int64_t>(i) - 1;
    nodes.push_back({.layer = make_layer(cfg[i], context)});
    Layer& layer = *nodes.back().layer;
    if (const std::int64_t owner = layer.shares(); owner >= 0)
      layer.share(*node(owner).layer, cfg[i]);
  }
}

// The truths of a pass have room for the head that takes most.
void Network::Impl::set_truth_capacity() {
  std::int64_t max = 0;
  for (const Node& n : nodes)
    if (const Head* h = n.layer->head()) max = std::max(max, h->settings().max_truths);
  for (Node& n : nodes) n.layer->set_truths(max);
}

void Network::Impl::connect() {
  for (std::int64_t i = 0; i < size(); ++i) {
    Node& n = node(i);
    n.sources = n.layer->sources();
    for (const std::int64_t s : n.sources) {
      if (s < -1 || s >= i)
        fail(n.layer->title(), ": reads layer ", s, ", which does not come before it");
      if (s >= 0) node(s).consumers.push_back(i);
    }
  }
  bool only_batch_norm = false;  // Darknet: of all layers before one with the key
  for (std::int64_t i = size() - 1; i >= 0; --i)
    if (only_batch_norm |= node(i).layer->keys().train_only_bn)
      node(i).layer->train_only_batch_norm();
  for (std::int64_t i = 0; i + 1 < size(); ++i)
    if (node(i).consumers == std::vector<std::int64_t>{i + 1})
      node(i + 1).pass_through = node(i).layer->absorb(*node(i + 1).layer);
}

TensorView Network::Impl::block_view(std::size_t block, const Shape& shape, DType type) const {
  return {block_data(block), type, shape, shape.c};
}

TensorView Network::Impl::output(std::int64_t i) {
  if (i < 0) return input_view();
  return block_view(node(i).output_block, node(i).needs.output, node(i).writes);
}

TensorView Network::Impl::gradient(std::int64_t i) {
  return block_view(node(i).gradient_block, node(i).needs.output, node(i).writes);
}

// The output of a layer, or for -1 the network's input.
TensorView Network::Impl::made_by(const Pass& pass, std::int64_t source) {
  TensorView view = output(source);
  if (source < 0 && pass.input) view.data = const_cast<float*>(pass.input);  // nobody writes to it
  return view;
}

// What the layer reads of its k-th source.
TensorView Network::Impl::input_of(const Pass& pass, const Node& n, std::size_t k) {
  const TensorView made = made_by(pass, n.sources[k]);
  const std::size_t block = n.converted_blocks[k];
  return block == kNone ? made : block_view(block, made.shape, n.reads);
}

Pass Network::Impl::pass_for(const Pass& pass, const Node& n, std::size_t workspace) const {
  return {.stream = stream(),
          .mode = mode_of(n),
          .workspace = block_data(workspace),
          .saved = block_data(n.saved_block),
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
    in.push_back(input_of(pass, n, k));
    if (n.converted_blocks[k] != kNone)
      copy_pixels(stream(), made_by(pass, n.sources[k]), in.back());
  }
  n.layer->forward(pass_for(pass, n, n.forward_workspace), in, output(i));
}

// Where layer n puts the gradient of its k-th source.
GradientSlot Network::Impl::slot_for(const Node& n, std::size_t k) {
  const std::int64_t s = n.sources[k];
  if (!takes_gradient(s)) return {};
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
    in.push_back(n.needs.needs_input ? input_of(pass, n, k) : TensorView{});
    slots.push_back(slot_for(n, k));
  }
  const bool head = n.layer->head() != nullptr;
  n.layer->backward(pass_for(pass, n, n.backward_workspace),
                    {.in = in,
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

void Network::Impl::run(GraphCache& graphs, const Pass& pass, std::int64_t key,
                        const std::function<void()>& work) {
  const DeviceGuard guard(options.device);
  if (observer) return work();  // it looks between the layers
  if (!graphs.run(stream(), pass, key, work)) ++enqueued;
}

// Other layers learn, or by other algorithms: no plan stays, and less memory may be enough.
void Network::Impl::forget_sizes() {
  const DeviceGuard guard(options.device);
  sizes.clear();
  arena = {};
}

Network::Network(std::vector<Section> cfg, const NetworkOptions& options)
    : impl_(std::make_unique<Impl>()) {
  if (cfg.empty()) fail("a cfg without sections");
  for (Section& section : cfg) section.set_training(options.mode == Mode::training);
  naming_net_overrides(cfg.front(), [&] { impl_->settings = read_net(cfg.front()); });
  naming_overrides(overrides_for_layers(cfg), [&] { build(std::move(cfg), options); });
}

void Network::build(std::vector<Section> cfg, const NetworkOptions& options) {
  Impl& net = *impl_;
  net.options = options;
  net.queue =
      OwnedStream({.device = options.device, .order = options.order, .threads = options.threads});
  net.where = cfg[0].where();
  if (options.width > 0) net.settings.width = options.width;
  if (options.height > 0) net.settings.height = options.height;
  net.algorithms = Tuning(net.library().name(options.device));
  if (options.tuning.library() == net.algorithms.library()) net.algorithms = options.tuning;
  net.precision = accepted_precision(net.settings.precision, cfg[0], net.library(), options.device);
  net.make_layers(cfg);
  if (net.training()) require_one_norm(*this);
  if (net.training()) note_layers_behind_heads(*this, cfg);
  if (net.training())
    (heads().empty() ? warn_of_head_keys : warn_of_classifier_keys)(cfg[0], net.settings);
  net.connect();
  net.freeze(net.trained_at(std::numeric_limits<std::int64_t>::max()));
  net.set_truth_capacity();
  net.choose_types();
  const std::int64_t usual =
      net.training() ? images_of_part(net.settings, options.replicas, cfg[0]) : 1;
  resize(options.batch > 0 ? options.batch : usual, net.settings.height, net.settings.width);
  if (net.training()) require_free_size(*this, cfg);
  if (options.tuning.library() != net.algorithms.library()) return;
  if (const std::string warning = tuning_warning(*this, options.tuning); !warning.empty())
    log::warn(warning);
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
std::int64_t Network::enqueued() const { return impl_->enqueued; }
Shape Network::input_shape() const { return impl_->input_shape; }
Shape Network::output_shape(std::int64_t layer) const { return impl_->node(layer).needs.output; }
TensorView Network::input() const { return impl_->input_view(); }
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

TensorView Network::gradients() const {
  const Shape shape = vector_shape(impl_->gradients.bytes() / std::int64_t{sizeof(float)});
  return {impl_->gradients.data(), DType::f32, shape, shape.c};
}

void Network::initialise() {
  for (Node& n : impl_->nodes) n.layer->initialise(impl_->options.seed);
}

void Network::parameters_changed() {
  const DeviceGuard guard(options().device);
  impl_->pack_weights();
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
  net.input_shape = shape;
  net.plan_anew();
}

void Network::set_iteration(std::int64_t iteration) {
  if (!impl_->training() || !impl_->freeze(impl_->trained_at(iteration))) return;
  // Steps may still be on their way.
  darknet::memory(impl_->options.device.type).synchronize(impl_->stream());
  impl_->forget_sizes();
  impl_->plan_anew();
}

std::vector<std::int64_t> Network::frozen_layers() const {
  std::vector<std::int64_t> frozen;
  for (std::int64_t i = 0; i < size(); ++i)
    if (const Node& n = impl_->node(i); !n.trains.update && !n.layer->parameters().empty())
      frozen.push_back(i);
  return frozen;
}

void Network::set_algorithms(const Tuning& tuning) {
  if (tuning.library() != algorithms().library())
    fail("choices for ", tuning.library(), " given to a network on ", algorithms().library());
  impl_->algorithms = tuning;
  impl_->forget_sizes();
  impl_->plan_anew();
}

void Network::set_quantization(Quantization quantization) {
  Impl& net = *impl_;
  if (!quantization.empty()) net.require_int8();
  for (const auto& [layer, q] : quantization) require_ranges(*this, layer, q);
  net.given_quantization = std::move(quantization);
  net.choose_integers();
  net.choose_types();
  net.forget_sizes();
  net.plan_anew();
}

void Network::forward(const Pass& pass) {
  Impl& net = *impl_;
  net.run(net.sizes.present().forwards, pass, pass.subdivision, [&] { net.forward(pass); });
}

void Network::backward(const Pass& pass) {
  if (!impl_->training()) fail("backward of a network made for inference");
  Impl& net = *impl_;
  net.run(net.sizes.present().backwards, pass, pass.subdivision, [&] { net.backward(pass); });
}

void Network::update(const Pass& pass, std::int64_t key, const std::function<void()>& work) {
  impl_->run(impl_->sizes.present().updates, pass, key, work);
}

MemoryUse Network::memory() const {
  MemoryUse use;
  for (const Parameter* p : parameters()) use.parameters += p->value.bytes();
  use.parameter_gradients = impl_->gradients.bytes();
  for (const Node& n : impl_->nodes) use.packed_weights += n.needs.packed_weights;
  use.activations = impl_->input.bytes() + impl_->arena.bytes();
  return use;
}

}  // namespace darknet
