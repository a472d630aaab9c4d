// A network: layers made from a cfg, their memory, forward and backward. It names no layer type.
// Not here: the optimizer (nn/optimizer.h), files (nn/weights.h), the training loop (train/).
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>
#include "core/tuning.h"
#include "detect/head.h"
#include "nn/layer.h"
#include "nn/memory_use.h"
#include "nn/net_settings.h"

namespace darknet {

struct NetworkOptions {
  Device device;
  Mode mode = Mode::inference;
  bool exact = false;          // direct convolutions only; no TF32
  bool deterministic = false;  // CUDA: bitwise identical results from every run
  bool reference = false;      // CPU: the reference implementation in place of the library
  // Images per forward pass; 0: when training batch / (subdivisions * replicas), else 1.
  std::int64_t batch = 0;
  std::int64_t replicas = 1;           // networks that share the batch of a training run
  std::int64_t width = 0, height = 0;  // 0: the cfg's
  std::uint64_t seed = 0;
  Order order = Order::parallel;
  int threads = 0;
  bool keep_outputs = false;  // every output(i) stays valid after forward(); costs memory
  Tuning tuning = {};         // choices of algorithms; of another card or library: not used
};

// Called before and after each layer's work, e.g. to time it or to look at its output.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void before(std::int64_t layer, bool backward) = 0;
  virtual void after(std::int64_t layer, bool backward) = 0;
};

// The convolutions that compute in 8-bit integers, by layer.
using Quantization = std::map<std::int64_t, ConvQuantization>;

struct HeadAt {
  std::int64_t layer = 0;
  Head* head = nullptr;
};

class Network {
 public:
  // `cfg`: the sections of a file, [net] first. Every key is read and checked here.
  Network(std::vector<Section> cfg, const NetworkOptions&);
  ~Network();
  Network(Network&&) noexcept;

  const NetSettings& settings() const;
  const Where& where() const;  // the file it was read from, and its [net]
  const NetworkOptions& options() const;
  const Stream& stream() const;
  std::int64_t size() const;  // number of layers
  Layer& layer(std::int64_t i);
  const Layer& layer(std::int64_t i) const;
  std::vector<HeadAt> heads() const;
  // Every parameter of layers [0, end), in the order of .weights files.
  std::vector<Parameter*> parameters(std::int64_t end = -1) const;

  // In device memory, f32: the gradients of all parameters one after the other, with zeros between
  // them; empty at inference.
  TensorView gradients() const;

  // Fresh parameter values from the seed. To be followed by parameters_changed().
  void initialise();
  // Packs weights, folds batch normalisation; after loading or updating parameters.
  void parameters_changed();

  // Shapes every layer and plans the memory. The constructor calls it. On a GPU the plans and
  // captured graphs of the last sizes are kept, and reused where a size is used again.
  void resize(std::int64_t batch, std::int64_t height, std::int64_t width);
  std::int64_t reshapes() const;  // how often its layers were shaped
  // The step that comes next, 1 for the first: sets which layers are frozen in it, and where that
  // changes plans anew, as resize() does. Until it is called none is but those frozen for good.
  void set_iteration(std::int64_t iteration);
  std::vector<std::int64_t> frozen_layers() const;  // at present, those with parameters
  Shape input_shape() const;
  Shape output_shape(std::int64_t layer) const;

  // {n, h, w, c} values 0..1, f32, go into input() (or Pass::input names them); then forward().
  // Afterwards output(i) holds the output of layer i where that is kept: of heads, of the last
  // layer, and with keep_outputs of all layers, none of which then holds integers.
  TensorView input() const;
  void forward(const Pass&);  // stream, mode, workspace and saved are filled in here
  TensorView output(std::int64_t layer) const;
  // dL/doutput of a layer before backward(), for tests; heads make their own gradient.
  TensorView output_gradient(std::int64_t layer) const;
  // Adds to the gradients of the parameters.
  void backward(const Pass&);
  // What else is done to a network once in a step and refers to its plans: parameters_changed().
  // Like the passes captured as a CUDA graph, for this size and `key`, and replayed.
  void update(const Pass&, std::int64_t key, const std::function<void()>& work);
  // How many of all these were not replays.
  std::int64_t enqueued() const;

  MemoryUse memory() const;
  // The algorithms of all convolutions, in every size that the network has had, and all entries of
  // the table that it was made with.
  const Tuning& algorithms() const;
  // Plans anew with these, which are of this card and library; to be followed by
  // parameters_changed().
  void set_algorithms(const Tuning&);
  // Plans anew: the convolutions in these layers compute in 8-bit integers, all others as before,
  // and what only such convolutions read is kept in integers (nn/integer_tensors.h);
  // to be followed by parameters_changed(). Throws in training, in 16 bits, on a device without,
  // and where a layer has no convolution or another number of filters.
  void set_quantization(Quantization);
  void observe(LayerObserver*);  // null: nobody; must outlive its use

 private:
  void build(std::vector<Section> cfg, const NetworkOptions&);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The detections of one image of the last forward pass, from all heads, above `threshold`, before
// non-maximum suppression.
std::vector<InputDetection> detections(const Network&, std::int64_t image, float threshold);

}  // namespace darknet
