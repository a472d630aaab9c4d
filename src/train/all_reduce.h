// What the devices of a training run exchange in every step, so that all compute the same update:
// the sums of their gradients, the sums of the step that losses keep (detect/running_values.h) and,
// device after device, the rolling statistics of batch normalisation, whose batch statistics stay
// each device's own. The devices are those of this process and of all other ranks.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ranks.h"
#include "core/step.h"
#include "kernels/all_reduce.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/overlapped_sum.h"

namespace darknet {

// A network that trains on a device of its own.
struct Replica {
  Network* net = nullptr;
  Optimizer* optimizer = nullptr;
};

// The processes that share every batch of a training.
struct TrainingRanks {
  Ranks* ranks = &single_rank();
  bool bf16 = false;  // gradients travel between them in 16 bits
};

// Whether the environment lets sums of ranks overlap with the backward pass: DARKNET_OVERLAP.
bool may_overlap();

class AllReduce {
 public:
  // `states`: of each replica, on its device. `micro_batches`: that each computes per step. Sums
  // are formed device after device by copies where the network is deterministic, as they are anyway
  // where no library does it. Every rank has as many replicas.
  AllReduce(const std::vector<Replica>&, const std::vector<StepState*>& states,
            std::int64_t micro_batches, const TrainingRanks&);

  std::int64_t bytes(std::size_t place) const;  // of the replica there, on its device

  void keep_statistics();                        // before the first micro-batch of a step
  void before_last_backward();                   // of the step
  void backward_failed(const std::string& why);  // ends the job where other ranks wait for its sums
  // After the last micro-batch, before the updates; asks and does not wait, but for other ranks.
  void run();

 private:
  // An array that is summed over the devices; n elements.
  struct Summed {
    float* data = nullptr;
    std::int64_t n = 0;
  };
  struct Place {
    Replica replica;
    StepState* state = nullptr;
    // What is summed apart from the gradients: rolling statistics, what losses keep, the error.
    Buffer shared;
    Buffer kept;  // rolling statistics from before the step
    RollingTable rolling;
    std::unique_ptr<Event> packed, taken;
    Buffer incoming;  // of the first device: another's array

    std::array<Summed, 2> summed() const;  // gradients, `shared`
  };
  static Place make_place(const Replica&, StepState*);
  // Calls running(values, their place in `shared`) in a fixed order; returns the place of the
  // error.
  template <class Running>
  static float* visit(const Place&, Running);
  void pack(Place&, std::int64_t device);
  void unpack(Place&);
  void sum_devices(std::size_t array);
  void collect_in_order(std::size_t array);
  void give_to_all(std::size_t array);
  void sum_ranks(std::size_t array);
  std::int64_t devices() const { return std::ssize(places_) * ranks_.ranks->count(); }

  std::vector<Place> places_;
  TrainingRanks ranks_;
  bool in_order_ = false;
  std::optional<OverlappedSum> overlapped_;  // of several ranks on the CPU
  PinnedBuffer on_host_;                     // of several ranks with other devices
  std::unique_ptr<AllReduceLibrary> library_;
  std::unique_ptr<Event> summed_;
  float keep_ = 1;  // of the rolling statistics, over one device's micro-batches
};

// Makes one equal to another: parameters, and what the optimizer and the losses keep.
void copy_training(const Replica& from, const Replica& to);

}  // namespace darknet
