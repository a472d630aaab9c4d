// When a training run writes which file, and how a run starts from them. The formats are in
// nn/weights.h and nn/checkpoint.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/lock_file.h"
#include "nn/checkpoint.h"
#include "nn/network.h"
#include "nn/optimizer.h"
#include "train/observer.h"

namespace darknet {

class Checkpoints {
 public:
  // Files are called folder/name_last.weights and so on. Throws where the folder cannot be written,
  // and where another training of this name has it: folder/name.lock, while this object lives.
  // `every`: period of the numbered files; 0: Darknet's rule, 1000 below 10000 iterations, else
  // 10000. Without `writes`, of a process that writes nothing, the folder is left alone.
  Checkpoints(std::filesystem::path folder, std::string name, std::int64_t every,
              bool writes = true);

  // name_last.weights and name_last.state, so that a kill between the two is noticed and repaired.
  void save_last(const Network&, Optimizer&, TrainingState&) const;
  // Notes in the state what lies where name_last.weights will be written, so that a kill during the
  // first save_last is noticed like any other.
  void register_existing(TrainingState&) const;
  void save_best(const Network&, const TrainingState&) const;
  void save_final(const Network&, Optimizer&, const TrainingState&) const;
  // Whether any periodic file is due after that iteration; writes those of state.iteration.
  bool due(std::int64_t iteration, std::int64_t max_batches) const;
  void save_due(const Network&, Optimizer&, TrainingState&, std::int64_t max_batches) const;

  // Whether that is a weights file of this run, by its name and folder.
  bool is_own(const std::filesystem::path& weights) const;
  // Where the run starts from one of its own files, that of iteration `from`, and will replace it:
  // keeps it as NAME_..._previous.weights, and logs it.
  void keep_start(const std::filesystem::path& weights, std::int64_t from,
                  std::int64_t max_batches) const;

  // For a fresh start: names the files of an earlier training that it will replace.
  void warn_of_earlier() const;

  std::filesystem::path file(const std::string& suffix) const;  // folder/name<suffix>

 private:
  std::int64_t period(std::int64_t max_batches) const;
  std::filesystem::path folder_;
  std::string name_;
  std::int64_t every_;
  std::optional<LockFile> lock_;
};

// Saves what is due during a run, and at its end.
class PeriodicCheckpoints final : public TrainingObserver {
 public:
  // All of them outlive this.
  PeriodicCheckpoints(const Checkpoints&, Network&, Optimizer&, TrainingState&);
  void iteration(const IterationReport&) override;
  void finished(bool complete) override;

 private:
  const Checkpoints& checkpoints_;
  Network& net_;
  Optimizer& optimizer_;
  TrainingState& state_;
};

enum class StartKind : std::uint8_t { fresh, weights, resumed };

struct Start {
  StartKind kind = StartKind::fresh;
  TrainingState state;
  std::string summary;             // one line for the user: what was loaded from where
  std::int64_t loaded_layers = 0;  // layers [0, n) whose values came from a file
};

struct StartOptions {
  std::filesystem::path weights;      // "" : from scratch
  bool clear = false;                 // count from zero, forget the optimizer's state
  std::int64_t cutoff = -1;           // load only this many layers
  std::optional<std::uint64_t> seed;  // none: the resumed training's, else that of the network
};

// Initialises the network and loads what `options` asks for: the .state next to the weights where
// the two belong together, else the weights alone.
Start start_training(Network&, Optimizer&, const StartOptions&);

}  // namespace darknet
