// SGD with momentum, or Adam, on every trained parameter of a network, and the running average of
// the weights (ema_alpha). Owns the per-parameter state that a checkpoint keeps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "nn/network.h"

namespace darknet {

class Optimizer {
 public:
  Optimizer(Network&, const NetSettings&);

  // One update from the gradients of a whole step, which it sets to zero; nothing at all happens
  // when the step or a gradient is not finite. `images`: of the step, all subdivisions together.
  // Returns whether the update was done. `average`: whether the running average takes part.
  bool step(const StepState&, std::int64_t images, bool average);

  // The running average in place of the weights, and back; no effect before the average started.
  bool has_average() const { return averaging_; }
  void swap_average();

  // State as named arrays for a checkpoint, in a fixed order; sizes must agree on restore.
  struct Array {
    std::string name;
    Tensor* tensor = nullptr;
  };
  std::vector<Array> state();
  void set_averaging(bool on) { averaging_ = on; }

 private:
  struct Slot {
    Parameter* parameter = nullptr;
    std::int64_t layer = 0;
    float clip = 0;
    Tensor first, second, average;
  };
  void update(Slot&, std::int64_t images);
  void start_average();

  Network& net_;
  NetSettings settings_;
  std::vector<Slot> slots_;
  Buffer state_, scratch_;
  bool averaging_ = false;
};

}  // namespace darknet
