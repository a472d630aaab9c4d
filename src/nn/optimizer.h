// The optimizer that [net] names, on every trained parameter of a network, and the running average
// of the weights (ema_alpha). Owns what a checkpoint keeps of every parameter.
#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "kernels/update.h"
#include "nn/network.h"

namespace darknet {

class Optimizer {
 public:
  Optimizer(Network&, const NetSettings&);

  // Asks for one update from the gradients of a whole step, which it sets to zero; nothing is
  // updated when a gradient is not finite (kernels/update.h). `state`: in device memory, where the
  // status will be. `images`: of the step, all subdivisions together. `average`: whether the
  // running average takes part.
  void step(StepState* state, std::int64_t images, bool average);

  // Whether gradients come as large as StepState::loss says: with precision=f16.
  bool scales_loss() const { return settings_.precision == DType::f16; }

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
    std::vector<Tensor> states;  // of OptimizerRule, in its order
    Tensor average;
  };
  Slot make_slot(Parameter&, std::int64_t layer) const;
  UpdateArrays update_of(Slot&) const;
  void start_average();

  Network& net_;
  NetSettings settings_;
  std::vector<Slot> slots_;  // of all parameters
  ArrayTable<UpdateArrays> updates_;
  ArrayTable<AverageArrays> averages_;
  ArrayTable<CentreArrays> centred_;
  Buffer scratch_, shared_;
  bool averaging_ = false;
};

}  // namespace darknet
