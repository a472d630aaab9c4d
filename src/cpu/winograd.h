// 3x3 convolutions of stride 1 by Winograd's minimal filtering: tiles of the input, of the output
// and filters are transformed, so that m x m pixels cost (m + 2)^2 multiplications a channel in
// place of 9 m^2 (Lavin and Gray, arXiv 1509.09308). In f32, NHWC, for any group count. Results do
// not depend on the number of threads. Largest difference from oneDNN's direct convolution,
// relative to the largest output, in layers of 16 to 512 channels, forward and backward data: 3e-7
// to 3e-6 with m = 2, 9e-7 to 5e-6 with m = 4, 6e-6 to 2e-5 with m = 6; the gradient of weights,
// where both sum over all pixels of a batch: up to 2e-5 with any m.
#pragma once
#include <cstdint>

#include "core/ops.h"
#include "cpu/winograd_kernels.h"

namespace darknet {

// Whether they can compute the convolution: 3x3, stride 1, no dilation, at most 2 pixels of
// padding, a multiple of 16 channels and of 16 filters in each group.
bool winograd_fits(const ConvSpec&);

// Correlation of a tensor with packed filters: the forward pass, or the gradient of its input.
class WinogradConv {
 public:
  enum class Filters : std::uint8_t {
    kept,     // transformed by set_weights()
    per_run,  // transformed by each run(), into the workspace
  };
  // spec: that of the forward pass. direction: forward or backward_data. m: 2, 4 or 6.
  WinogradConv(const ConvSpec& spec, ConvDirection direction, int m,
               Filters filters = Filters::kept);

  std::int64_t workspace() const;       // bytes
  std::int64_t packed_weights() const;  // bytes
  // OHWI weights of the forward pass; call it after every change of them. With Filters::per_run
  // they are read by run() only.
  void set_weights(const Stream&, const float* weights);
  // in and out are dense tensors of the direction: for backward_data the gradients of the output
  // and of the input.
  void run(const Stream&, const float* in, float* out, const winograd::Finish&, void* workspace);

 private:
  struct Job;
  void divide_work();
  // In the workspace, behind what the threads use.
  std::int64_t filters_at() const { return tile_groups_ * filter_groups_ * worker_bytes_; }
  void transform(const Stream&, const float* weights, float* to) const;
  void work(const Job&, std::int64_t worker) const;

  ConvSpec spec_;
  bool forward_ = true;
  const winograd::Kernels* kernels_ = nullptr;
  winograd::Tiles in_, out_;
  std::int64_t matrices_ = 0, inputs_ = 0, outputs_ = 0;  // channels of a group
  // Each group of tiles with each group of filters is the work of one thread.
  std::int64_t tile_groups_ = 1, filter_groups_ = 1;
  std::int64_t block_ = 0, slice_ = 0;  // tiles, and panels of outputs, computed at a time
  std::int64_t worker_bytes_ = 0;
  winograd::Layout in_layout_, out_layout_;
  std::int64_t filter_matrix_ = 0, group_filters_ = 0;  // floats
  Buffer filters_;                                      // empty: transformed by each run
  const float* weights_ = nullptr;
};

// The gradient of the weights.
class WinogradWeightGradient {
 public:
  WinogradWeightGradient(const ConvSpec& spec, int m);

  std::int64_t workspace() const;  // bytes
  // Adds to `gradient` (OHWI). Both tensors are dense.
  void run(const Stream&, const float* in, const float* out_gradient, float* gradient,
           void* workspace) const;

 private:
  struct Job;
  void transform(const Job&, std::int64_t worker) const;
  void multiply(const Job&, std::int64_t worker) const;
  void finish(const Job&, std::int64_t worker) const;

  ConvSpec spec_;
  const winograd::Kernels* kernels_ = nullptr;
  winograd::Tiles in_, out_;
  std::int64_t matrices_ = 0, inputs_ = 0, outputs_ = 0;  // channels of a group
  std::int64_t block_ = 0, workers_ = 1;
  winograd::Layout in_layout_, out_layout_;
  std::int64_t sum_matrix_ = 0;
  std::int64_t out_at_ = 0, sums_at_ = 0, bytes_ = 0;  // in the workspace
};

}  // namespace darknet
