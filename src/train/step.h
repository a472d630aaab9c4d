// One training step: the subdivisions of a batch forward and backward, then the update. Knows
// nothing of files, schedules or how batches are made.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "dataset/augment.h"
#include "detect/head.h"
#include "nn/network.h"
#include "nn/optimizer.h"

namespace darknet {

// A whole batch in host memory: images one after the other, NHWC, values 0..1. An image that has
// parts is put together on the network's device instead.
struct StepInput {
  std::span<const float> pixels;
  std::span<const std::vector<Truth>> truths;           // one entry per image
  std::span<const std::vector<PlacedPart>> parts = {};  // one entry per image, or none at all
  bool grey_outside = false;                            // of the parts
};

// Where a step's time went, all subdivisions together, seconds.
struct StepTimes {
  double upload = 0, forward = 0, backward = 0, update = 0;
};

struct StepResult {
  std::vector<HeadTelemetry> heads;  // sums over the whole batch, in the order of Network::heads()
  double loss = 0;                   // mean per image of the true loss, all heads
  std::int64_t positives = 0;        // obj_norm=positives: N; else 0
  bool finite = true;                // false: no update was made
  std::string fault;                 // which layer was not finite first
  StepTimes seconds;
  std::int64_t truths_left_out = 0;  // beyond the heads' max=, of all images
  std::int64_t faulty_image = -1;    // first image of the subdivision in which that was
};

class TrainingStep {
 public:
  TrainingStep(Network&, Optimizer&, std::uint64_t seed);

  // `state`: iteration and learning rate; objectness_scale and images_seen are filled in here.
  // `seen`: images before this batch. `average`: whether the weights' running average takes part.
  StepResult run(const StepInput&, StepState state, std::int64_t seen, bool average);

 private:
  std::int64_t upload(const StepInput&, std::int64_t part);  // returns the truths left out
  void upload_pixels(const StepInput&, std::int64_t part);
  void place_parts(const StepInput&, std::int64_t image, const TensorView& to);
  void run_part(const Pass&, StepResult&);
  std::string first_fault(const Pass&);
  std::string faulty_gradient() const;

  Network& net_;
  Optimizer& optimizer_;
  std::vector<HeadAt> heads_;
  std::uint64_t seed_;
  std::int64_t capacity_ = 1;  // truths per image
  Buffer truths_, counts_, state_;
  Buffer bytes_;  // of the parts of one image
};

// N of obj_norm=positives: positive anchors of all heads that ask for it; 0 where none does.
std::int64_t count_positives(const Network&, std::span<const std::vector<Truth>> truths);

}  // namespace darknet
