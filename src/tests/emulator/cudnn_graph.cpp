// The graphs of the emulated cuDNN: convolutions as plain loops that sum in f64, and what follows
// them in f32, behind the checks of types, shapes and pointers that cuDNN documents. The engines
// are a choice of what cuDNN 9 proposes: some that round, one that is not deterministic, some
// whose kernel is compiled at run time.
#include "tests/emulator/cudnn_graph.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/emulator/half.h"

namespace emulator {
namespace {

using Values = std::vector<float>;
constexpr auto kForward = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
constexpr auto kData = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;

float get(cudnnDataType_t type, const void* p, std::int64_t i) {
  if (type == CUDNN_DATA_FLOAT) return static_cast<const float*>(p)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(p)[i];
  return type == CUDNN_DATA_HALF ? from_half(bits) : from_bfloat(bits);
}
void put(cudnnDataType_t type, void* p, std::int64_t i, float x) {
  if (type == CUDNN_DATA_FLOAT)
    static_cast<float*>(p)[i] = x;
  else
    static_cast<std::uint16_t*>(p)[i] =
        type == CUDNN_DATA_HALF ? to_half(double{x}) : to_bfloat(double{x});
}
float rounded(float x) { return from_half(to_half(double{x})); }

void* view(const void* p, std::int64_t bytes, int device) {
  return Gpus::instance().memory().view(p, static_cast<std::size_t>(bytes), device);
}

std::int64_t output_size(std::int64_t in, std::int64_t pad, std::int64_t size, std::int64_t stride,
                         std::int64_t dilation) {
  return (in + 2 * pad - ((size - 1) * dilation + 1)) / stride + 1;
}

// Visits (x, filter, y) of every product, by runs along the channels of one group: f(offset in x,
// offset in the filters, their length, offset in y).
template <class F>
void for_products(const Operation& o, F f) {
  const TensorNode &x = o.x, &w = o.w, &y = o.y;
  const std::int64_t filters = w.n / o.groups();
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t oy = 0; oy < y.h; ++oy)
      for (std::int64_t ox = 0; ox < y.w; ++ox)
        for (std::int64_t ky = 0; ky < w.h; ++ky)
          for (std::int64_t kx = 0; kx < w.w; ++kx) {
            const std::int64_t iy = oy * o.stride[0] - o.pad[0] + ky * o.dilation[0];
            const std::int64_t ix = ox * o.stride[1] - o.pad[1] + kx * o.dilation[1];
            if (iy < 0 || ix < 0 || iy >= x.h || ix >= x.w) continue;
            const std::int64_t in = ((n * x.h + iy) * x.w + ix) * x.c;
            const std::int64_t out = ((n * y.h + oy) * y.w + ox) * y.c;
            for (std::int64_t k = 0; k < w.n; ++k)
              f(in + k / filters * w.c, ((k * w.h + ky) * w.w + kx) * w.c, w.c, out + k);
          }
}

// The sums of a convolution: a, b are what it reads, in the order of operands().
std::vector<double> sums_of(const Operation& o, const Values& a, const Values& b) {
  std::vector<double> sums(static_cast<std::size_t>(o.result().size()));
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for_products(o, [&](std::int64_t i, std::int64_t k, std::int64_t n, std::int64_t y) {
    if (o.kind == kForward) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < n; ++j) sum += double{a[at(i + j)]} * double{b[at(k + j)]};
      sums[at(y)] += sum;
      return;
    }
    // A gradient of y, times filters into x or times x into filters.
    const std::int64_t factor = o.kind == kData ? k : i, to = o.kind == kData ? i : k;
    const double gradient = b[at(y)];
    for (std::int64_t j = 0; j < n; ++j) sums[at(to + j)] += gradient * double{a[at(factor + j)]};
  });
  return sums;
}

float activated(const Operation& o, float x) {
  switch (o.mode) {
    case CUDNN_POINTWISE_RELU_FWD:  // without a slope NaN becomes 0
      return x > 0 ? x : o.slope == 0 ? 0 : static_cast<float>(o.slope) * x;
    case CUDNN_POINTWISE_SIGMOID_FWD:
      return 1 / (1 + std::exp(-x));
    case CUDNN_POINTWISE_TANH_FWD:
      return std::tanh(x);
    case CUDNN_POINTWISE_SWISH_FWD:
      return x / (1 + std::exp(-x));
    case CUDNN_POINTWISE_SOFTPLUS_FWD:
      return std::log1p(std::exp(x));
    default:
      return x;  // CUDNN_POINTWISE_IDENTITY
  }
}

Values pointwise(const Operation& o, const Values& a, const Values& b) {
  Values y(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!o.binary()) {
      y[i] = activated(o, a[i]);
      continue;
    }
    const float second = b.size() == a.size() ? b[i] : b[i % b.size()];  // or one a channel
    y[i] = o.mode == CUDNN_POINTWISE_ADD ? a[i] + second : a[i] * second;
  }
  return y;
}

// One call of a plan.
class Execution {
 public:
  Execution(const EngineConfig& engine, std::map<std::int64_t, void*> pointers, int device)
      : engine_(engine), pointers_(std::move(pointers)), device_(device) {}

  void operator()() {
    for (const Operation& o : engine_.graph.operations) {
      const std::vector<TensorNode> from = o.operands();
      const Values a = values(from[0]), b = from.size() > 1 ? values(from[1]) : Values{};
      store(o, o.convolution() ? convolved(o, a, b) : pointwise(o, a, b));
    }
  }

 private:
  Values convolved(const Operation& o, const Values& a, const Values& b) {
    const std::vector<double> sums = sums_of(o, a, b);
    const bool rounds = engine_.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
    Values y(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i)
      y[i] = rounds ? rounded(static_cast<float>(o.alpha * sums[i]))
                    : static_cast<float>(o.alpha * sums[i]);
    return y;
  }
  Values values(const TensorNode& t) {
    if (!t.in_memory) return handed_on_[t.id];
    const void* const from = view(pointers_[t.id], t.bytes(), device_);
    const bool rounds = engine_.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
    Values v(static_cast<std::size_t>(t.size()));
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] = get(t.type, from, static_cast<std::int64_t>(i));
      if (rounds) v[i] = rounded(v[i]);
    }
    return v;
  }
  // y + beta to, as BLAS and cuDNN define it: with beta = 0 it is not read.
  void store(const Operation& o, Values y) {
    const TensorNode& t = o.result();
    if (!t.in_memory) {
      handed_on_[t.id] = std::move(y);
      return;
    }
    void* const to = view(pointers_[t.id], t.bytes(), device_);
    for (std::int64_t i = 0; i < t.size(); ++i) {
      const float old = o.beta == 0 ? 0 : static_cast<float>(o.beta) * get(t.type, to, i);
      put(t.type, to, i, y[static_cast<std::size_t>(i)] + old);
    }
  }

  EngineConfig engine_;
  std::map<std::int64_t, void*> pointers_;
  std::map<std::int64_t, Values> handed_on_;
  int device_;
};

bool same_shape(const TensorNode& a, const TensorNode& b) {
  return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

bool refuses(const char* what) { return Gpus::instance().options().refuses(what); }

// What an engine computes and needs; see the file's head.
EngineConfig engine(std::int64_t index, std::int64_t workspace,
                    std::vector<cudnnBackendNumericalNote_t> notes, bool compiled = false) {
  EngineConfig e{index, workspace, std::move(notes), compiled, {}, {}};
  if (index == 1) e.knobs = {{CUDNN_KNOB_TYPE_TILEK, 0}, {CUDNN_KNOB_TYPE_TILE_SIZE, 5}};
  return e;
}
constexpr auto kTensorCore = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;

std::vector<EngineConfig> engines_of_one(const Operation& o, cudnnBackendHeurMode_t mode) {
  const bool half = o.x.half();
  if (o.x.type != o.w.type) return {};
  if (o.x.type != o.y.type) {  // from 16 bits to f32: forward only, channels in pairs
    const bool known = half && o.kind == kForward && !o.y.half() && o.w.c % 2 == 0;
    if (!known || mode != CUDNN_HEUR_MODE_FALLBACK || refuses("mixed")) return {};
    return {engine(6, 0, {kTensorCore}, true)};
  }
  const EngineConfig plain = engine(0, 512, {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP});
  if (mode == CUDNN_HEUR_MODE_FALLBACK) return {plain};
  std::vector<EngineConfig> all;
  if (!half)
    all.push_back(engine(3, 1024, {CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, kTensorCore}));
  all.push_back(engine(4, 1024, {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}));
  all.push_back(engine(1, 1024, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}));
  all.push_back(engine(2, 2048, {kTensorCore}));
  all.push_back(engine(5, 1024, {CUDNN_NUMERICAL_NOTE_WINOGRAD}));
  all.push_back(plain);
  return all;
}

// A convolution, the bias of its channels, and an activation of one or more operations.
bool is_epilogue(const OperationList& g) {
  const Operation &convolution = g.operations[0], &bias = g.operations[1];
  return convolution.kind == kForward && bias.mode == CUDNN_POINTWISE_ADD &&
         bias.x.id == convolution.y.id && bias.w.in_memory && bias.w.n == 1 && bias.w.h == 1 &&
         bias.w.w == 1 && bias.w.c == convolution.y.c && !bias.w.half();
}

std::vector<EngineConfig> engines_of_fused(const OperationList& g, cudnnBackendHeurMode_t mode) {
  const Operation& c = g.first();
  if (refuses("fused") || !is_epilogue(g) || c.x.type != c.w.type) return {};
  for (const Operation& o : g.operations)
    if (!o.result().in_memory && o.result().half()) return {};
  const bool half = c.x.half(), mixed = c.x.type != g.operations.back().y.type;
  const bool relu = g.operations.size() == 3 && g.operations[2].slope == 0 &&
                    g.operations[2].mode == CUDNN_POINTWISE_RELU_FWD;
  const bool only_bias = g.operations.size() == 2;
  if (mixed && !half) return {};
  if (mixed && only_bias && mode != CUDNN_HEUR_MODE_FALLBACK) return {};
  std::vector<EngineConfig> all;
  if (!half && (relu || only_bias)) all.push_back(engine(11, 1024, {}));
  const bool fast = (!half || c.w.c % 2 == 0) && c.groups() != c.x.c;
  if (fast && !(mixed && refuses("mixed"))) all.push_back(engine(7, 0, {kTensorCore}, true));
  if (!mixed && (!fast || mode == CUDNN_HEUR_MODE_FALLBACK)) all.push_back(engine(8, 0, {}, true));
  return all;
}

cudnnStatus_t check_pointers(const OperationList& g,
                             const std::map<std::int64_t, void*>& pointers) {
  for (const TensorNode& t : g.in_memory()) {
    const auto found = pointers.find(t.id);
    if (found == pointers.end()) return CUDNN_STATUS_BAD_PARAM;
    if (!found->second) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (reinterpret_cast<Address>(found->second) % static_cast<Address>(t.alignment) != 0)
      return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

std::vector<TensorNode> Operation::operands() const {
  if (!convolution()) return binary() ? std::vector{x, w} : std::vector{x};
  if (kind == kForward) return {x, w};
  return {kind == kData ? w : x, y};
}

bool EngineConfig::has(cudnnBackendNumericalNote_t note) const {
  return std::ranges::find(notes, note) != notes.end();
}

std::vector<TensorNode> OperationList::in_memory() const {
  std::vector<TensorNode> all;
  for (const Operation& o : operations) {
    std::vector<TensorNode> some = o.operands();
    some.push_back(o.result());
    for (const TensorNode& t : some)
      if (t.in_memory && std::ranges::find(all, t.id, &TensorNode::id) == all.end())
        all.push_back(t);
  }
  return all;
}

cudnnStatus_t check_operation(const Operation& o) {
  const TensorNode &x = o.x, &w = o.w, &y = o.y;
  if (!o.convolution()) {
    if (!same_shape(x, y)) return CUDNN_STATUS_BAD_PARAM;
    const bool fits = (w.n == x.n || w.n == 1) && (w.h == x.h || w.h == 1) &&
                      (w.w == x.w || w.w == 1) && (w.c == x.c || w.c == 1);
    return !o.binary() || fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
  }
  if (x.c % w.c != 0 || w.n % o.groups() != 0) return CUDNN_STATUS_BAD_PARAM;
  if (x.h + 2 * o.pad[0] < (w.h - 1) * o.dilation[0] + 1 ||
      x.w + 2 * o.pad[1] < (w.w - 1) * o.dilation[1] + 1)
    return CUDNN_STATUS_BAD_PARAM;
  const bool fits = y.n == x.n && y.c == w.n &&
                    y.h == output_size(x.h, o.pad[0], w.h, o.stride[0], o.dilation[0]) &&
                    y.w == output_size(x.w, o.pad[1], w.w, o.stride[1], o.dilation[1]);
  return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

// Ids are of one tensor each; what is only handed on is computed before it is read, and read.
cudnnStatus_t check_graph(const OperationList& g) {
  if (g.operations.size() > 1 && refuses("graphs")) return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
  std::map<std::int64_t, TensorNode> known;
  std::map<std::int64_t, int> uses;  // of tensors that are not in memory: computed, then read
  for (const Operation& o : g.operations) {
    std::vector<TensorNode> all = o.operands();
    all.push_back(o.result());
    for (const TensorNode& t : all) {
      const auto [at, fresh] = known.try_emplace(t.id, t);
      if (!fresh && (!same_shape(at->second, t) || at->second.type != t.type ||
                     at->second.in_memory != t.in_memory))
        return CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES;
    }
    for (const TensorNode& t : o.operands())
      if (!t.in_memory && ++uses[t.id] < 2) return CUDNN_STATUS_BAD_PARAM;
    if (!o.result().in_memory && ++uses[o.result().id] != 1) return CUDNN_STATUS_BAD_PARAM;
  }
  const bool all_read = std::ranges::all_of(uses, [](const auto& u) { return u.second > 1; });
  return all_read ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

std::vector<EngineConfig> proposals(const OperationList& g, cudnnBackendHeurMode_t mode) {
  const Operation& first = g.first();
  constexpr std::int64_t kMax = std::int64_t{1} << 31;
  if (refuses("algorithms") || !first.convolution()) return {};
  if (first.x.size() >= kMax || first.y.size() >= kMax) return {};
  if (first.x.half() && first.groups() > 1 && refuses("half-groups")) return {};
  std::vector<EngineConfig> all =
      g.operations.size() == 1 ? engines_of_one(first, mode) : engines_of_fused(g, mode);
  for (EngineConfig& e : all) e.graph = g;
  return all;
}

cudnnStatus_t compile(const EngineConfig& e) {
  return e.compiled && refuses("compiling") ? CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED
                                            : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t execute(const LibraryHandle& h, const EngineConfig& e,
                      const std::map<std::int64_t, void*>& pointers, void* workspace) {
  if (const cudnnStatus_t s = check_pointers(e.graph, pointers)) return s;
  if (e.workspace > 0 && !workspace) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (refuses("first-algorithm") && (e.index == 1 || e.index == 7))
    return CUDNN_STATUS_NOT_SUPPORTED_SHARED_MEMORY_INSUFFICIENT;
  if (h.device != Gpus::current_device()) return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  // Used from the first to the last moment: neither what is read nor what is written may lie there.
  const cudaError_t issued = Gpus::instance().issue(h.stream, [=, device = h.device] {
    const auto spoil = [&] {
      if (e.workspace > 0)
        std::memset(view(workspace, e.workspace, device), Memory::kPoison,
                    static_cast<std::size_t>(e.workspace));
    };
    spoil();
    Execution(e, pointers, device)();
    spoil();
  });
  return issued == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace emulator
