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
#include "train/device_sums.h"

namespace darknet {

// A network that trains on a device of its own.
struct Replica {
  Network* net = nullptr;
  Optimizer* optimizer = nullptr;
};

// The processes that share every batch of a training.
struct TrainingRanks {
  Ranks* ranks = &single_rank();
  bool bf16 = false;                         // gradients travel between them in 16 bits
  std::int64_t bucket_bytes = kBucketBytes;  // of gradients that are summed at once
};

// Whether the environment lets sums overlap with the backward pass (DARKNET_OVERLAP), and lets NCCL
// form them (DARKNET_NCCL). Both throw for a value that is neither 0 nor 1.
bool may_overlap();
bool may_use_nccl();

class AllReduce {
 public:
  // `states`: of each replica, on its device. `micro_batches`: that each computes per step. Every
  // rank has as many replicas. Gradients are summed bucket after bucket next to the backward pass:
  // on GPUs by NCCL, on CPUs by MPI. Where the network is deterministic, or NCCL is not to be had,
  // those of the GPUs of a rank are summed one after the other by copies, and then those of the
  // ranks in their order through host memory, after the backward pass.
  AllReduce(const std::vector<Replica>&, const std::vector<StepState*>& states,
            std::int64_t micro_batches, const TrainingRanks&);

  // Of several ranks: chooses how they sum. A collective; needed before the first step.
  void join_ranks();
  // After the last step of all of them: a collective. Without it GPUs of this rank do not wait for
  // those of others when this is destroyed.
  void leave_ranks();

  // Whether a library sums over this rank's devices, and over all devices of all ranks.
  bool sums_own() const { return library_ != nullptr; }
  bool sums_all() const { return library_ && (joined_ || !ranks_.ranks->several()); }

  std::int64_t bytes(std::size_t place) const;  // of the replica there, on its device

  void begin_step();                               // before its first micro-batch
  void before_last_backward(std::size_t replica);  // of the step
  // From begin_step() to run(): where other ranks wait for its sums, says why and ends the job.
  void step_failed(const std::string& why);
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
  void choose_sums(std::unique_ptr<JoinedDevices>);
  void open_library(std::unique_ptr<JoinedDevices>);
  void overlap(BucketSums&, std::vector<Bucket>);
  std::vector<Network*> networks() const;
  std::vector<Device> own_devices() const;
  std::vector<float*> arrays(std::size_t array) const;
  void sum(std::size_t array);
  void sum_devices(std::size_t array);
  void collect_in_order(std::size_t array);
  void give_to_all(std::size_t array);
  void sum_ranks(std::size_t array);
  std::int64_t devices() const { return std::ssize(places_) * ranks_.ranks->count(); }

  std::vector<Place> places_;
  TrainingRanks ranks_;
  bool in_order_ = false;
  bool overlaps_ = may_overlap(), uses_nccl_ = may_use_nccl();
  PinnedBuffer on_host_;  // of several ranks with devices that no library joins
  std::unique_ptr<AllReduceLibrary> library_;
  JoinedDevices* joined_ = nullptr;        // the library, where it sums over all ranks
  std::optional<DeviceSums> device_sums_;  // by the library
  std::optional<RankSums> rank_sums_;      // of several ranks on the CPU
  std::optional<OverlappedSum> overlapped_;
  std::unique_ptr<Event> summed_;
  float keep_ = 1;  // of the rolling statistics, over one device's micro-batches
};

// Makes one equal to another: parameters, and what the optimizer and the losses keep.
void copy_training(const Replica& from, const Replica& to);

}  // namespace darknet
