// The inside of a Network: its layers, where their tensors lie, and what runs. Included by its own
// two source files alone: network.cpp (making and running) and network_plan.cpp (shapes, memory).
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "core/index.h"
#include "core/parts.h"
#include "nn/freezing.h"
#include "nn/kept_sizes.h"
#include "nn/memory_plan.h"
#include "nn/network.h"

namespace darknet {

inline constexpr auto kNone = to_size(-1);
// All of random=1 up to 1088x1088. A CPU has no graphs, and its plans hold copies of the weights.
inline constexpr std::size_t kMaxSizes = 24, kMaxSizesOfCpu = 1;

// One layer and where its tensors lie. Moments of a step: layer i runs forward at i and backward at
// 2N - 1 - i.
struct Node {
  LayerPtr layer;
  std::vector<std::int64_t> sources;
  std::vector<std::int64_t> consumers;
  Requirements needs;
  LayerTraining trains;
  bool wants_gradient = false;  // its backward runs
  bool pass_through = false;    // absorbed by the layer below
  bool gradient_written = false;
  std::size_t output_block = 0, gradient_block = 0, saved_block = 0;
  std::size_t forward_workspace = 0, backward_workspace = 0;  // blocks
  DType reads = DType::f32, writes = DType::f32;              // element types of inputs and output
  bool reads_any = false;  // integers and f32 (Layer::adds_integers)
  bool adds = false;       // Layer::adds_integers() when tensors of integers were chosen
  // Per source: its output, and the gradient for it, as `reads`; kNone where it writes that anyway.
  std::vector<std::size_t> converted_blocks, converted_gradient_blocks;
};

struct Network::Impl {
  NetworkOptions options;
  NetSettings settings;
  Where where;  // of [net]
  OwnedStream queue;
  std::vector<Node> nodes;
  Shape input_shape;
  DType precision = DType::f32;
  // Shared by all input sizes: what the largest so far needs.
  Tensor input;
  Buffer arena;
  Buffer gradients;
  MemoryPlan plan;
  std::size_t update_workspace = 0;  // block of parameters_changed(), between two steps
  Tuning algorithms;
  Quantization given_quantization;
  Quantization quantization;  // as given, but inputs in integers have the scale of their tensor
  std::vector<std::optional<IntegerScale>> integers;  // of outputs; none: no integers
  LayerObserver* observer = nullptr;
  KeptSizes sizes;
  std::int64_t reshapes = 0, enqueued = 0;

  const Stream& stream() const { return queue.get(); }
  TensorView input_view() const { return {input.data(), DType::f32, input_shape, input_shape.c}; }
  Ops& library() const { return options.reference ? reference_ops() : ops(options.device.type); }
  std::int64_t size() const { return std::ssize(nodes); }
  Node& node(std::int64_t i) { return nodes[to_size(i)]; }
  bool training() const { return options.mode == Mode::training; }
  // Heads take none from the layers that read them.
  bool takes_gradient(std::int64_t source) const {
    if (source < 0) return false;
    const Node& n = nodes[to_size(source)];
    return n.wants_gradient && !n.layer->head();
  }
  // Layers that no gradient passes work as at test time; heads still compute their losses.
  Mode mode_of(const Node& n) const {
    return n.trains.gradient || n.layer->head() ? options.mode : Mode::inference;
  }
  std::vector<Parameter*> parameters();
  std::vector<FreezableLayer> freezable_layers() const;
  void set_frozen_iterations();
  std::vector<LayerTraining> trained_at(std::int64_t iteration) const;
  bool freeze(const std::vector<LayerTraining>&);
  void plan_anew();
  void plan_within_memory(KeptPlans&);
  bool release_memory();
  void plan_size(KeptPlans&);
  void require_parameter_memory();
  void require_activation_memory();
  void reserve();
  void forget_sizes();
  std::int64_t backward_moment(std::int64_t i) const { return 2 * size() - 1 - i; }

  void make_layers(std::vector<Section>& cfg);
  void connect();
  void set_truth_capacity();
  void choose_integers();
  bool sums_changed() const;
  void choose_types();
  void shape_layers(Ops&);
  Requirements shape_layer(Node& node, Ops&);
  bool may_share_input(std::int64_t i);
  void require_int8() const;
  const Node& owner_of(const Node& n) const;  // of its parameters: itself, or what it shares()
  const ConvQuantization* quantization_of(const Node& n) const;
  const IntegerScale* integer_output(const Node& n) const;  // null: no integers
  DType type_of(std::int64_t source) { return source < 0 ? DType::f32 : node(source).writes; }
  bool converts(const Node& n, std::int64_t source) {
    return !n.reads_any && type_of(source) != n.reads;
  }
  void plan_conversions(std::int64_t i, std::vector<Block>& blocks);
  void plan_workspaces(std::int64_t i, std::vector<Block>& blocks);
  void plan_arena();
  Block output_block(std::int64_t i);
  Block gradient_block(std::int64_t i);
  TensorView block_view(std::size_t block, const Shape& shape, DType type) const;
  TensorView output(std::int64_t i);
  TensorView gradient(std::int64_t i);
  TensorView made_by(const Pass&, std::int64_t source);
  TensorView input_of(const Pass&, const Node& n, std::size_t k);
  void* block_data(std::size_t block) const { return part(arena.data(), plan.offsets[block]); }
  Pass pass_for(const Pass& pass, const Node& node, std::size_t workspace) const;
  void pack_weights();
  void run_forward(const Pass& pass, std::int64_t i);
  GradientSlot slot_for(const Node& n, std::size_t k);
  void run_backward(const Pass& pass, std::int64_t i);
  void forward(const Pass& pass);
  void backward(const Pass& pass);
  void run(GraphCache&, const Pass&, std::int64_t key, const std::function<void()>& work);
};

}  // namespace darknet
