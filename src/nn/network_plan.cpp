// How a network shapes its layers, which of them it trains, and where their tensors lie.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/device_guard.h"
#include "core/log.h"
#include "core/out_of_memory.h"
#include "core/text.h"
#include "nn/integer_tensors.h"
#include "nn/network_impl.h"
#include "nn/precision.h"

namespace darknet {
namespace {

constexpr const char* kFewerNumbers =
    "fewer filters= (or output=) of this layer or of those before it, a smaller size=, or a "
    "smaller width= and height= in [net] need less";

std::int64_t mebibytes_of(double bytes) { return std::llround(std::ceil(bytes / (1 << 20))); }

bool has_trained(Layer& layer) {
  return std::ranges::any_of(layer.parameters(), [](const Parameter* p) { return p->updated(); });
}

}  // namespace

// Layers work in the network's precision but for those that ask for f32; what is read by nothing
// else is written in f32 where that can be done.
void Network::Impl::choose_types() {
  for (Node& n : nodes) n.reads = n.writes = n.layer->works_in_f32() ? DType::f32 : precision;
  for (Node& n : nodes) {
    const bool only_f32 = std::ranges::all_of(
        n.consumers, [&](std::int64_t c) { return node(c).reads == DType::f32; });
    if (only_f32 && !n.consumers.empty() && n.layer->writes_f32()) n.writes = DType::f32;
  }
  for (std::size_t i = 0; i < integers.size(); ++i) {
    if (!integers[i]) continue;
    nodes[i].writes = DType::u8;
    for (const std::int64_t c : nodes[i].consumers)
      if (!node(c).reads_any) node(c).reads = DType::u8;
  }
}

// Which tensors between convolutions in 8-bit integers hold such integers. After the layers have
// been shaped.
void Network::Impl::choose_integers() {
  integers.clear();
  quantization = given_quantization;
  for (Node& n : nodes) n.reads_any = false;
  if (quantization.empty() || options.keep_outputs) return;
  std::vector<IntegerNode> graph;
  for (Node& n : nodes) {
    n.adds = n.layer->adds_integers();
    graph.push_back({.sources = n.sources, .keeps = n.layer->keeps_integers(), .adds = n.adds});
    const ConvQuantization* const q = quantization_of(n);
    if (!q) continue;
    const ConvolutionWork work = n.layer->convolution().value();
    if (library().reads_int8(work.spec, work.epilogue))
      graph.back().reads = {q->scale, q->zero_point};
    graph.back().writes = library().writes_int8(work.spec, work.epilogue);
  }
  integers = integer_tensors(graph);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto holds = [&](std::int64_t t) { return t >= 0 && integers[to_size(t)].has_value(); };
    nodes[i].reads_any =
        graph[i].adds && (integers[i] || std::ranges::any_of(nodes[i].sources, holds));
  }
  for (auto& [layer, q] : quantization)
    if (const std::int64_t source = node(layer).sources[0]; source >= 0)
      if (const auto& shared = integers[to_size(source)])
        q.scale = shared->scale, q.zero_point = shared->zero_point;
}

// Whether a sum fits exactly may follow from the size of the network's input.
bool Network::Impl::sums_changed() const {
  return !integers.empty() && std::ranges::any_of(nodes, [](const Node& n) {
    return n.adds != n.layer->adds_integers();
  });
}

const Node& Network::Impl::owner_of(const Node& n) const {
  const std::int64_t owner = n.layer->shares();
  return owner < 0 ? n : owner_of(nodes[to_size(owner)]);
}

const ConvQuantization* Network::Impl::quantization_of(const Node& n) const {
  const auto at = quantization.find(&n - nodes.data());
  return at == quantization.end() ? nullptr : &at->second;
}

const IntegerScale* Network::Impl::integer_output(const Node& n) const {
  const auto i = &n - nodes.data();
  return !integers.empty() && integers[to_size(i)] ? &*integers[to_size(i)] : nullptr;
}

Requirements Network::Impl::shape_layer(Node& n, Ops& plans) {
  std::vector<Shape> in;
  std::vector<std::optional<IntegerScale>> scales;
  bool source_wants = false;
  for (const std::int64_t s : n.sources) {
    in.push_back(s < 0 ? input_shape : node(s).needs.output);
    if (n.reads_any) scales.push_back(s < 0 ? std::nullopt : integers[to_size(s)]);
    source_wants |= takes_gradient(s);
  }
  const Node& owner = owner_of(n);
  const bool reached = training() && n.trains.gradient;
  const PlanOptions plan{.mode = mode_of(n),
                         .exact = options.exact,
                         .deterministic = options.deterministic,
                         .input_gradient = reached && source_wants,
                         .weight_gradient = reached && n.trains.update && owner.trains.update,
                         .weights_used_once = settings.subdivisions == 1,
                         .precision = n.reads,
                         .f32_output = n.writes == DType::f32,
                         .tuning = &algorithms,
                         .int8 = quantization_of(n),
                         .integer_inputs = scales,
                         .integer_output = integer_output(n)};
  Requirements needs;
  const std::string title = n.layer->title();
  try {
    needs = n.layer->reshape(in, plans, plan);
    checked_size(needs.output);
  } catch (const DeviceOutOfMemory& e) {
    throw DeviceOutOfMemory(cat(title, ": ", e.what()));
  } catch (const HostOutOfMemory& e) {
    fail(title, ": ", e.what(), "; ", kFewerNumbers);
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(title)) throw;
    throw Error(cat(title, ": ", e.what()));
  }
  for (Parameter* p : n.layer->parameters()) p->frozen = !n.trains.update;
  n.wants_gradient =
      reached && (source_wants || (plan.weight_gradient && has_trained(*owner.layer)));
  return needs;
}

void Network::Impl::shape_layers(Ops& plans) {
  std::vector<std::string> refused;
  for (Node& n : nodes) {
    n.needs = shape_layer(n, plans);
    for (std::string& line : remember_algorithms(*n.layer, algorithms))
      refused.push_back(std::move(line));
  }
  if (!refused.empty())
    log::warn(cat(plural(refused.size(), "choice"),
                  " of the tuning file cannot be taken, and the heuristic's are; bench -tune "
                  "measures anew; the first: ",
                  refused.front()));
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
  if (n.writes != type_of(n.sources[0]) || converts(n, n.sources[0])) return false;
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
    if (!n.wants_gradient || !takes_gradient(s)) continue;
    n.converted_gradient_blocks[k] = blocks.size();
    blocks.push_back({backward_moment(i), backward_moment(i), bytes});
  }
}

// A workspace is in use during one call only, so it lies where nothing else lives at that moment.
void Network::Impl::plan_workspaces(std::int64_t i, std::vector<Block>& blocks) {
  Node& n = node(i);
  n.forward_workspace = blocks.size();
  blocks.push_back({i, i, n.needs.workspace});
  n.backward_workspace = blocks.size();
  const std::int64_t backward = backward_moment(i);
  blocks.push_back({backward, backward, n.wants_gradient ? n.needs.workspace : 0});
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
    plan_workspaces(i, blocks);
  }
  Block update{2 * size(), 2 * size(), 0};  // while the kept outputs stay
  for (const Node& n : nodes) update.bytes = std::max(update.bytes, n.needs.workspace);
  update_workspace = add(update);
  plan = plan_memory(blocks);
}

std::vector<Parameter*> Network::Impl::parameters() {
  std::vector<Parameter*> all;
  for (Node& n : nodes)
    for (Parameter* p : n.layer->parameters()) all.push_back(p);
  return all;
}

std::vector<FreezableLayer> Network::Impl::freezable_layers() const {
  std::vector<FreezableLayer> layers;
  for (const Node& n : nodes)
    layers.push_back({&n.layer->keys(), n.sources, n.layer->head() != nullptr});
  return layers;
}

std::vector<LayerTraining> Network::Impl::trained_at(std::int64_t iteration) const {
  return trained_layers(freezable_layers(), iteration);
}

void Network::Impl::set_frozen_iterations() {
  const std::vector<std::int64_t> frozen = frozen_iterations(freezable_layers());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (Parameter* p : nodes[i].layer->parameters())
      p->frozen_iterations = p->trained() && !p->update ? kNeverTrained : frozen[i];
}

// Whether that changes anything.
bool Network::Impl::freeze(const std::vector<LayerTraining>& trained) {
  bool changes = false;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    changes |= std::exchange(nodes[i].trains, trained[i]) != trained[i];
  return changes;
}

// Shapes every layer for the input's shape and plans the memory.
void Network::Impl::plan_anew() {
  const DeviceGuard guard(options.device);
  ++reshapes;
  const bool on_cpu = options.device.type == DeviceType::cpu;
  KeptSize& size = sizes.use(input_shape, library(), on_cpu ? kMaxSizesOfCpu : kMaxSizes);
  for (Node& n : nodes) n.layer->set_network_size(input_shape.h, input_shape.w);
  plan_within_memory(size.plans);
  // Plans have the weights of their last step, and a replay does not ask for the present ones.
  const bool used_before = std::exchange(size.complete, true);
  if (used_before) pack_weights();
}

// Where memory is short, what other sizes hold goes, as much as it takes.
void Network::Impl::plan_within_memory(KeptPlans& plans) {
  for (;;) try {
      return plan_size(plans);
    } catch (const DeviceOutOfMemory& e) {
      if (!release_memory())
        throw DeviceOutOfMemory(cat(to_string(where), ": [net]: for an input of ",
                                    to_string(input_shape), ": ", e.what()));
    }
}

// The plans of another size or, where there are none left, the arena, which may be that of a larger
// size; false where nothing is left at all. (plan_size() takes the arena last: a failure behind its
// release finds it empty.)
bool Network::Impl::release_memory() {
  if (!sizes.drop_least_used()) {
    if (arena.bytes() == 0) return false;
    sizes.forget_graphs();
    arena = {};
  }
  // What was released is free once the device has got there.
  darknet::memory(options.device.type).synchronize({.device = options.device});
  return true;
}

void Network::Impl::pack_weights() {
  void* const workspace = block_data(update_workspace);
  for (Node& n : nodes) n.layer->parameters_changed(stream(), workspace);
}

// Before the memory of parameters, which the system has promised so far, is touched.
void Network::Impl::require_parameter_memory() {
  double all = 0, most = 0;
  const Layer* largest = nullptr;
  for (const Node& n : nodes) {
    auto bytes = static_cast<double>(n.needs.packed_weights);
    for (const Parameter* p : n.layer->parameters())
      bytes += static_cast<double>(p->value.bytes()) * (p->sums_gradient ? 2 : 1);
    if (bytes > most) most = bytes, largest = n.layer.get();
    all += bytes;
  }
  const auto there =
      static_cast<double>(darknet::memory(options.device.type).capacity(options.device));
  if (largest && all > there)
    fail(largest->title(), ": out of memory: parameters", training() ? " and their gradients" : "",
         " need ", mebibytes_of(all), " MiB, ", mebibytes_of(most),
         " of them in this layer, and there are ", mebibytes_of(there), "; ", kFewerNumbers);
}

void Network::Impl::require_activation_memory() {
  try {
    require_memory(where, options.device, input_shape, training(), static_cast<double>(plan.bytes));
  } catch (const Error& e) {
    const auto largest = std::ranges::max_element(
        nodes, {}, [](const Node& n) { return n.needs.output.size() * size_of(n.writes); });
    fail(e.what(), "; the largest output is that of ", largest->layer->title(), ": ",
         to_string(largest->needs.output));
  }
}

void Network::Impl::plan_size(KeptPlans& plans) {
  plans.restart();
  shape_layers(plans);
  if (sums_changed()) {
    choose_integers();
    choose_types();
    plans.forget();
    shape_layers(plans);
  }
  require_parameter_memory();
  plan_arena();
  require_activation_memory();
  try {
    if (gradients.bytes() == 0) {
      set_frozen_iterations();
      // Other devices may sum them: of this process or of another.
      gradients = allocate_gradients(stream(), parameters(), MemoryAccess::peer);
    }
    reserve();
  } catch (const DeviceOutOfMemory&) {  // other sizes may go
    throw;
  } catch (const Error& e) {
    fail_at(where, "[net]: memory for an input of ", to_string(input_shape), ": ", e.what(), "; ",
            how_to_need_less(options.device, training()));
  }
}

// Makes what all sizes share as large as this one needs. Graphs hold its addresses.
void Network::Impl::reserve() {
  const bool input_grows = input_shape.size() > input.size();
  const bool arena_grows = plan.bytes > arena.bytes();
  if (input_grows || arena_grows) sizes.forget_graphs();
  if (input_grows) input = {};  // all is released before anything new is taken
  if (arena_grows) arena = {};
  if (input_grows) input = Tensor(options.device, vector_shape(input_shape.size()));
  if (arena_grows) arena = Buffer(options.device, plan.bytes);
}

}  // namespace darknet
