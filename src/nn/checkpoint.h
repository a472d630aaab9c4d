// x.state next to x.weights: everything that a training run needs to resume bit for bit. It holds
// the parameters too: where a kill between the two writes left files of different iterations, this
// is noticed and the .state is used.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include "core/ranks.h"
#include "nn/network.h"
#include "nn/optimizer.h"

namespace darknet {

// The results of a run's evaluations so far.
struct EvaluationRecord {
  double best_score = -1;  // mAP@0.5, of a classifier the top-1 accuracy; -1: none yet
  std::int64_t best_iteration = 0;
  std::int64_t without_gain = 0;  // evaluations since the best
  bool pending = false;           // interrupted in the evaluation of this iteration
};

struct TrainingState {
  std::int64_t iteration = 0;  // updates done
  std::uint64_t seen = 0;      // images
  std::uint64_t seed = 0;
  EvaluationRecord evaluation;
  double average_loss = -1;             // running average of the printed loss; -1: none yet
  std::int64_t planned_iterations = 0;  // by -epochs or -hours; 0: those of the cfg
  std::int64_t skipped_images = 0;      // unreadable images so far
  std::string device;                   // "CPU", "GPU"; "": not known
  std::int64_t devices = 1;             // that shared every batch
  std::int64_t threads = 0;             // of the CPU that computed; 0: unknown
  bool exact = false;                   // -exact
  bool deterministic = false;           // -deterministic
  std::string precision = "f32";        // of the activations
  std::optional<bool> scaled_decode;    // of [net]; none: not known
  LossScale loss_scale{.scale = 0};     // 0: not known yet
  double positives_average = 0;         // of obj_norm=positives_ema; 0: none yet
  std::uint64_t weights_checksum = 0;   // of the .weights file written with it, after it
  std::uint64_t previous_checksum = 0;  // of the .weights file that one replaced
  Tuning algorithms;                    // of the convolutions; library "": not known
};

void save_state(const std::filesystem::path&, const TrainingState&, const Network&, Optimizer&);
// The state alone; throws where the file is damaged.
TrainingState read_state(const std::filesystem::path&);
// Also takes parameters, the optimizer's arrays and what losses keep from it. Throws where the file
// is damaged or belongs to another network, naming what differs.
TrainingState load_state(const std::filesystem::path&, Network&, Optimizer&);

// The same over the ranks of a job: all take what rank 0 has.
void broadcast_state(Ranks&, TrainingState&, Network&, Optimizer&);

// x.weights -> x.state
std::filesystem::path state_path(std::filesystem::path weights);

}  // namespace darknet
