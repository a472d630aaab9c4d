// One training step on one device or several: the micro-batches of a batch forward and backward,
// then the update. A step is begun and its result fetched later, so that devices need not wait for
// the host. Knows nothing of files, schedules or how batches are made.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "detect/head.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/all_reduce.h"
#include "train/host_to_device.h"

namespace darknet {

// Where a step's time went on the first device, all micro-batches together, seconds.
struct StepTimes {
  double upload = 0;  // waiting for the images on their way, and laying them out
  double forward = 0, backward = 0;
  double update = 0;  // and, with several devices, the all-reduce before it
};

struct StepResult {
  StepParams params;  // as the step was asked for; images_seen: before its batch
  Shape input;        // of the network then
  // Sums over the whole batch, in the order of losses_of() (nn/target_loss.h).
  std::vector<HeadTelemetry> heads;
  // Mean per image of the true loss, all heads; with try_fix_nan of the images that count, and NaN
  // where none does.
  double loss = 0;
  std::int64_t positives = 0;    // N of obj_norm=positives and positives_ema; else 0
  double positives_average = 0;  // obj_norm=positives_ema: of N, this step included; else 0
  bool finite = true;            // false: no update was made, nor will any be
  bool overflow = false;         // no update was made, for the scale of the loss was too large
  // try_fix_nan: gradients that were not finite and became 0, and losses of heads, one for each
  // micro-batch of the first device, that were not finite and do not count.
  std::int64_t fixed = 0;
  LossScale loss_scale;  // after this step
  std::string error;     // which layer was not finite first; by run() and non_finite_layer()
  StepTimes seconds;
  std::int64_t truths_left_out = 0;    // beyond the heads' max=, of all images
  std::int64_t non_finite_image = -1;  // first of the micro-batch whose loss was not finite
};

// obj_norm=positives_ema: average = momentum average + (1 - momentum) max(1, N), before its use in
// the step of N; both values and the rule are those of Detectron2's RetinaNet (loss_normalizer).
inline constexpr double kFirstPositivesAverage = 100, kPositivesMomentum = .9;

struct StepMemory {             // bytes on one device
  std::int64_t inputs = 0;      // upload buffers
  std::int64_t all_reduce = 0;  // what several devices exchange
};

class TrainingStep {
 public:
  TrainingStep(Network&, Optimizer&, std::uint64_t seed);
  // Several networks, each on a device of its own, with equal parameters, that take the
  // micro-batches of a batch device after device, and rank after rank where there are several
  // processes. Batch normalisation, dropout and updates are those of one network with as many
  // micro-batches in all.
  TrainingStep(const std::vector<Replica>&, std::uint64_t seed, const TrainingRanks& = {});
  ~TrainingStep();
  // Of several ranks, before the first step: a collective, which chooses how gradients are summed.
  void join_ranks();
  void leave_ranks();  // after the last step: a collective (AllReduce::leave_ranks())

  std::int64_t first_image() const;  // of the batch, that this rank takes,
  std::int64_t count() const;        // and how many
  static constexpr std::int64_t kMaxInFlight = 2;
  // Enqueues a step; on the CPU it is done when this returns. `input` may be freed then. Each of
  // several ranks gives its share of the batch: count() images from first_image() on. `seen`:
  // images before this batch. `average`: whether the weights' running average is updated.
  void begin(const StepInput&, StepParams, std::int64_t seen, bool average);
  // Steps that were begun and not yet finished.
  std::int64_t in_flight() const { return std::ssize(in_flight_); }
  // The result of the oldest step in flight; waits for it.
  StepResult finish();
  // The title of the first layer whose output or gradients were not finite, found by computing the
  // batch of the failed step again; "" where another rank computed it.
  std::string non_finite_layer(const StepInput&, const StepResult&);

  // begin() and finish(), with StepResult::error where the step failed.
  StepResult run(const StepInput&, const StepParams&, std::int64_t seen, bool average);

  const AllReduce* all_reduce() const { return all_reduce_.get(); }  // null with one device
  // Of the replica at this place, next to its network and optimizer.
  StepMemory memory_use(std::size_t place) const;

  void set_loss_scale(const LossScale&);  // as an earlier training left it
  void set_positives_average(double average) { positives_average_ = average; }  // the same

 private:
  struct DeviceState;
  struct InFlight {
    StepResult result;       // what the host knows of it
    std::size_t report = 0;  // which of each device's reports has the rest
  };
  std::int64_t images() const;  // of a micro-batch
  Pass pass(const DeviceState&, std::int64_t micro_batch) const;
  std::int64_t run_micro_batch(DeviceState&, const StepInput&, StepParams,
                               std::int64_t micro_batch);
  float objectness_scale(StepResult&);
  void freeze(std::int64_t iteration);
  void add_other_ranks(StepResult&) const;
  void end(DeviceState&, std::int64_t batch, bool average);
  std::string first_non_finite(const StepInput&, std::int64_t image, StepParams);

  std::vector<std::unique_ptr<DeviceState>> devices_;
  TrainingRanks ranks_;
  std::unique_ptr<AllReduce> all_reduce_;  // with several devices
  std::uint64_t seed_;
  ObjectnessNorm norm_ = ObjectnessNorm::images;  // of the heads with another than this
  double positives_average_ = kFirstPositivesAverage;
  std::int64_t micro_batches_ = 1;    // of each device
  std::deque<InFlight> in_flight_;    // the oldest first
  std::vector<std::int64_t> frozen_;  // layers of the last step that were
  std::int64_t frozen_of_ = -1;       // Network::reshapes() when they were asked for
  std::size_t next_report_ = 0;
};

// What try_fix_nan did, of the first such step; later ones are silent.
std::string warning_of_fixed(const StepResult&);

// N: positive anchors of all heads whose obj_norm asks for them; 0 where none does.
std::int64_t count_positives(const Network&, std::span<const std::vector<Truth>> truths);

}  // namespace darknet
