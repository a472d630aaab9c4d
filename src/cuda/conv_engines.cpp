#include "cuda/conv_engines.h"

#include <algorithm>
#include <map>

#include "cuda/calls.h"

namespace darknet::cuda {
namespace {

constexpr std::int64_t kWorkspaceLimit = std::int64_t{1} << 30;  // Darknet: workspace_size_limit_MB
constexpr std::int64_t kMaxPerMode = 16;                         // proposals that are taken note of
// Bytes of an output. From here on a fused kernel saves microseconds a pass, next to the .3 to .7 s
// in which it is compiled (cuDNN 9.19 on an AMD EPYC, Zen 3).
constexpr std::int64_t kMinBytesToCompile = std::int64_t{4} << 20;
constexpr std::size_t kMaxDecisions = 4096;  // some ten sizes of a large network
constexpr TensorId kX = 1, kWeights = 2, kY = 3, kBias = 4;

// The operations of an activation.
struct AddActivation {
  OperationGraph& graph;
  const Shape& shape;
  TensorId from, to;

  void one(cudnnPointwiseMode_t mode, double slope = 0) const {
    graph.add(PointwiseNode{.mode = mode, .a = from, .to = to, .slope = slope});
  }
  void operator()(activations::Linear) const { one(CUDNN_POINTWISE_IDENTITY); }
  void operator()(activations::Relu) const { one(CUDNN_POINTWISE_RELU_FWD); }
  void operator()(activations::Leaky leaky) const {
    one(CUDNN_POINTWISE_RELU_FWD, leaky.derivative(-1.f));
  }
  void operator()(activations::Logistic) const { one(CUDNN_POINTWISE_SIGMOID_FWD); }
  void operator()(activations::Tanh) const { one(CUDNN_POINTWISE_TANH_FWD); }
  void operator()(activations::Swish) const { one(CUDNN_POINTWISE_SWISH_FWD); }
  void operator()(activations::Mish) const {
    const TensorId softplus = graph.intermediate(shape), tanh = graph.intermediate(shape);
    graph.add(PointwiseNode{.mode = CUDNN_POINTWISE_SOFTPLUS_FWD, .a = from, .to = softplus});
    graph.add(PointwiseNode{.mode = CUDNN_POINTWISE_TANH_FWD, .a = softplus, .to = tanh});
    graph.add(PointwiseNode{.mode = CUDNN_POINTWISE_MUL, .a = from, .b = tanh, .to = to});
  }
  template <class F>
  void operator()(const F&) const {
    throw NotSupported(cat("activation=", F::name, " is not fused"));
  }
};

// f32 may go through the tensor cores, as TF32, unless it is to be exact. 16 bits may always: their
// products are exact in f32, in which they are summed, so that -exact has nothing against it.
bool acceptable(const Engine& e, const PlanOptions& o) {
  const bool f32 = o.precision == DType::f32;
  if (e.rounds_sums || (f32 && e.rounds_inputs)) return false;
  if (o.exact && (e.transforms || (f32 && e.tensor_cores))) return false;
  return !o.deterministic || e.deterministic;
}

// The best proposals of one mode that may be taken, and whether there were any.
struct Proposals {
  std::vector<Engine> taken;
  bool any = false;
};
Proposals proposals(const OperationGraph& graph, cudnnBackendHeurMode_t mode,
                    const PlanOptions& o) {
  Proposals p;
  for (Engine& e : graph.proposals(mode)) {
    p.any = true;
    if (std::ssize(p.taken) < kMaxPerMode && acceptable(e, o)) p.taken.push_back(std::move(e));
  }
  return p;
}

// cuDNN's fast heuristic first; its slower one where that knows nothing to take; then what supports
// most shapes. For a fused graph the fast heuristic's answer is the last one where it has any:
// the fallback does not ask what is fast.
std::vector<Engine> engines_of(const OperationGraph& graph, bool fused, const PlanOptions& o) {
  Proposals fast = proposals(graph, CUDNN_HEUR_MODE_A, o);
  std::vector<Engine> all = std::move(fast.taken);
  if (fused && fast.any) return all;
  if (all.empty()) all = proposals(graph, CUDNN_HEUR_MODE_B, o).taken;
  for (Engine& e : proposals(graph, CUDNN_HEUR_MODE_FALLBACK, o).taken) {
    const bool known = std::ranges::any_of(all, [&](const Engine& a) { return a.name == e.name; });
    if (!known) all.push_back(std::move(e));
  }
  return all;
}

// The plans of this thread that live, so that convolutions of one shape share what was compiled.
std::weak_ptr<const ExecutionPlan>& plan_cache(const std::string& key) {
  static thread_local std::map<std::string, std::weak_ptr<const ExecutionPlan>> plans;
  std::erase_if(plans, [&](const auto& p) { return p.second.expired() && p.first != key; });
  return plans[key];
}

}  // namespace

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " filters ", s.filters, " size ", s.size_y, 'x', s.size_x, " stride ",
             s.stride_y, " groups ", s.groups);
}

std::shared_ptr<const OperationGraph> ConvEngines::graph(const Epilogue& fused, bool add) const {
  const ConvSpec& s = spec_;
  const Shape out = s.out();
  auto g = std::make_shared<OperationGraph>();
  g->tensor(s.in, options_.precision);
  g->tensor({s.filters, s.size_y, s.size_x, s.in.c / s.groups}, options_.precision);
  g->tensor(out, options_.output());
  ConvolutionNode n{.direction = direction_,
                    .x = kX,
                    .weights = kWeights,
                    .y = kY,
                    .pad_y = s.pad_y,
                    .pad_x = s.pad_x,
                    .stride_y = s.stride_y,
                    .stride_x = s.stride_x,
                    .dilation = s.dilation,
                    .add = add};
  if (fused.bias) {
    g->tensor({1, 1, 1, s.filters}, DType::f32);
    n.y = g->intermediate(out);
    g->add(n);
    const TensorId sum = is_linear(fused.activation) ? kY : g->intermediate(out);
    g->add(PointwiseNode{.mode = CUDNN_POINTWISE_ADD, .a = n.y, .b = kBias, .to = sum});
    if (sum != kY) std::visit(AddActivation{*g, out, sum, kY}, fused.activation);
  } else {
    g->add(n);
  }
  g->finish(cudnn({}));
  return g;
}

std::vector<ConvEngines::Candidate> ConvEngines::candidates(const Epilogue& fused) const {
  const bool half_gradient =
      direction_ == ConvDirection::backward_weights && options_.precision != DType::f32;
  const bool adds = direction_ == ConvDirection::backward_weights && !half_gradient;
  std::vector<std::shared_ptr<const OperationGraph>> graphs{graph(fused, adds)};
  std::vector<Engine> twins;
  if (direction_ == ConvDirection::backward_data) {
    graphs.push_back(graph(fused, true));
    twins = engines_of(*graphs[1], fused.bias, options_);
  }
  std::vector<Candidate> all;
  for (Engine& e : engines_of(*graphs[0], fused.bias, options_)) {
    const auto twin = std::ranges::find(twins, e.name, &Engine::name);
    if (graphs.size() > 1 && twin == twins.end()) continue;
    Candidate c{.name = cat(fused.bias ? "fused engine " : "engine ", e.name),
                .fused = fused,
                .graphs = graphs,
                .engines = {std::move(e)}};
    if (graphs.size() > 1) c.engines.push_back(*twin);
    all.push_back(std::move(c));
  }
  return all;
}

bool ConvEngines::pays(const Candidate& fused) const {
  const Engine& e = fused.engines[0];
  if (!e.compiled) return true;
  const DType type = options_.output();
  const bool compiled_anyway = type != options_.precision;
  return e.tensor_cores &&
         (compiled_anyway || spec_.out().size() * size_of(type) >= kMinBytesToCompile);
}

std::string ConvEngines::key() const {
  const ConvSpec& s = spec_;
  return cat(current_device(), ' ', static_cast<int>(direction_), ' ', about(s), ' ', s.stride_x,
             ' ', s.dilation, ' ', s.pad_y, ' ', s.pad_x, ' ', name_of(options_.precision), ' ',
             name_of(options_.output()));
}

ConvEngines::Plans ConvEngines::make_plans(const Candidate& c, std::string& why) const {
  Plans plans;
  for (std::size_t i = 0; i < c.graphs.size(); ++i) {
    std::weak_ptr<const ExecutionPlan>& known =
        plan_cache(cat(key(), ' ', i, ' ', c.fused.activation.index(), ' ', c.name));
    std::shared_ptr<const ExecutionPlan> plan = known.lock();
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (!plan) plan = ExecutionPlan::make(cudnn({}), c.graphs[i], c.engines[i], status);
    known = plan;
    const bool fits = plan && plan->workspace() <= kWorkspaceLimit;
    if (!fits) {
      why = plan ? cat(plan->workspace(), " bytes of workspace") : cudnnGetErrorString(status);
      return {};
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

ConvEngines::ConvEngines(ConvDirection direction, const ConvSpec& spec, const Epilogue& epilogue,
                         const PlanOptions& options)
    : direction_(direction), spec_(spec), options_(options) {
  const ConvChoice* const wanted =
      options.tuning ? options.tuning->find(conv_use(direction, spec, options)) : nullptr;
  if (options.mode == Mode::inference) {
    choose(epilogue, wanted);
  } else {  // nothing is fused: the epilogue does not matter
    std::map<std::string, ConvEngines>& known = decisions();
    const std::string question =
        cat(key(), ' ', options.exact, options.deterministic, ' ', wanted ? wanted->algorithm : "");
    if (const auto found = known.find(question); found != known.end()) {
      *this = found->second;
      options_ = options;
    } else {
      choose(epilogue, wanted);
      if (known.size() == kMaxDecisions) known.clear();
      known.emplace(question, *this);
    }
  }
  tuned_ = wanted && wanted->milliseconds > 0 && wanted->algorithm == taken_.name;
}

// Of this thread. With random=1 every size comes again, and to ask cuDNN anew takes longer than a
// step. Never destroyed, because cuDNN may be gone before.
std::map<std::string, ConvEngines>& ConvEngines::decisions() {
  static thread_local auto& all = *new std::map<std::string, ConvEngines>;
  return all;
}

void ConvEngines::choose(const Epilogue& epilogue, const ConvChoice* wanted) {
  // In training a fused ReLU would turn a NaN into a zero.
  const bool fuses = direction_ == ConvDirection::forward && options_.mode == Mode::inference;
  std::vector<Candidate> fused;
  if (fuses && epilogue.bias) try {
      fused = candidates(epilogue);
    } catch (const NotSupported&) {  // the convolution alone may be
    }
  const auto others = std::ranges::stable_partition(fused, [&](const auto& c) { return pays(c); });
  others_.assign(std::make_move_iterator(fused.begin()), std::make_move_iterator(others.begin()));
  std::ranges::move(candidates({}), std::back_inserter(others_));
  std::ranges::move(others, std::back_inserter(others_));
  for (const Candidate& c : others_) names_.push_back(c.name);
  std::ranges::stable_partition(
      others_, [&](const Candidate& c) { return wanted && c.name == wanted->algorithm; });
  std::string refused;
  while (plans_.empty() && !others_.empty()) {
    taken_ = std::move(others_.front());
    others_.erase(others_.begin());
    std::string why;
    plans_ = make_plans(taken_, why);
    refused += cat(refused.empty() ? "" : ", ", taken_.name, ": ", why);
  }
  if (plans_.empty())
    throw NotSupported(cat("cuDNN (", about(spec_), "): none of its algorithms can be taken",
                           options_.exact ? " with -exact" : "",
                           options_.deterministic ? " with -deterministic" : "", "; it proposed ",
                           refused.empty() ? "none that may be" : refused));
  reserve(plans_);
  if (taken_.fused.bias || taken_.engines[0].compiled) reserve(stand_in());
}

void ConvEngines::reserve(const Plans& plans) {
  for (const auto& plan : plans) workspace_ = std::max(workspace_, plan->workspace());
}

ConvEngines::Plans ConvEngines::stand_in() const {
  std::string why;
  for (const Candidate& c : others_) {
    if (c.fused.bias || c.engines[0].compiled) continue;
    if (Plans plans = make_plans(c, why); !plans.empty()) return plans;
  }
  return {};
}

cudnnStatus_t ConvEngines::run(cudnnHandle_t handle, const ConvOperands& o, bool add,
                               void* workspace) const {
  const Binding bindings[] = {{kX, o.x}, {kWeights, o.weights}, {kY, o.y}, {kBias, o.bias}};
  const std::size_t tensors = taken_.fused.bias ? 4 : 3;
  const bool twin = add && plans_.size() > 1;
  return plans_[twin ? 1 : 0]->execute(handle, std::span(bindings).first(tensors), workspace);
}

bool ConvEngines::take_next() {
  while (!others_.empty()) {
    Candidate next = std::move(others_.front());
    others_.erase(others_.begin());
    std::string why;
    Plans plans = make_plans(next, why);
    const bool fits = !plans.empty() && std::ranges::all_of(plans, [&](const auto& p) {
      return p->workspace() <= workspace_;
    });
    if (!fits) continue;
    taken_ = std::move(next), plans_ = std::move(plans);
    tuned_ = false;
    return true;
  }
  return false;
}

}  // namespace darknet::cuda
