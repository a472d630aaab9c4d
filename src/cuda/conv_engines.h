// A direction of a convolution as a graph of cuDNN, with what follows it where cuDNN can do both at
// once, and the engine that computes it. Included in cuda/ only.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/ops.h"
#include "core/tuning.h"
#include "cuda/graph.h"

namespace darknet::cuda {

// "2x13x13x64 filters 128 size 3x3 stride 1 groups 1": of messages.
std::string about(const ConvSpec&);

// Of the forward pass, or their gradients. bias: f32, read where it is fused.
struct ConvOperands {
  const void *x = nullptr, *weights = nullptr, *y = nullptr, *bias = nullptr;
};

class ConvEngines {
 public:
  // Takes the engine that the tuning table names, else cuDNN's best that the options allow, which
  // is a heuristic of the shape and the card: nothing is timed. At inference, engines that also
  // compute the epilogue come first where that pays. Throws NotSupported where there is none.
  ConvEngines(ConvDirection, const ConvSpec&, const Epilogue&, const PlanOptions&);

  const std::string& name() const { return taken_.name; }
  const std::vector<std::string>& names() const { return names_; }  // of all that could be taken
  bool tuned() const { return tuned_; }  // by a measured entry of the table
  const Epilogue& fused() const { return taken_.fused; }
  std::int64_t workspace() const { return workspace_; }  // bytes, whichever is taken later

  // add: to what the result's tensor holds (backward_data; backward_weights in f32 always adds,
  // what else there is never).
  cudnnStatus_t run(cudnnHandle_t, const ConvOperands&, bool add, void* workspace) const;
  // Takes the next engine that needs no more workspace. False where there is none.
  bool take_next();

 private:
  // An engine of a graph, and of its twin that adds (backward_data only).
  struct Candidate {
    std::string name;
    Epilogue fused;
    std::vector<std::shared_ptr<const OperationGraph>> graphs;
    std::vector<Engine> engines;
  };
  using Plans = std::vector<std::shared_ptr<const ExecutionPlan>>;

  static std::map<std::string, ConvEngines>& decisions();
  void choose(const Epilogue&, const ConvChoice* wanted);
  std::vector<Candidate> candidates(const Epilogue& fused) const;
  std::shared_ptr<const OperationGraph> graph(const Epilogue& fused, bool add) const;
  // Whether a fused engine goes before those of the convolution alone: where cuDNN brings it
  // ready-made, or it uses tensor cores and saves enough for the time that compiling it takes.
  bool pays(const Candidate& fused) const;
  std::string key() const;  // device, direction, shape and types
  // Empty where cuDNN refuses one of them; `why` says so.
  Plans make_plans(const Candidate&, std::string& why) const;
  void reserve(const Plans&);  // workspace
  // The best engine of the convolution alone that cuDNN brings ready-made: what takes the place of
  // one that needs less workspace, but is compiled here or fused, where that fails.
  Plans stand_in() const;

  ConvDirection direction_;
  ConvSpec spec_;
  PlanOptions options_;
  Candidate taken_;
  Plans plans_;
  std::vector<Candidate> others_;  // best first
  std::vector<std::string> names_;
  std::int64_t workspace_ = 0;
  bool tuned_ = false;
};

}  // namespace darknet::cuda
