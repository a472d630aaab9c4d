// What a network keeps of the input sizes that it has had, so that using one again costs
// little: the plans of its layers, and the CUDA graphs, which hold addresses of what the plans own.
// Not here: the memory that all sizes share (nn/network_impl.h).
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "core/ops.h"
#include "nn/replay.h"

namespace darknet {

// The plans that layers ask for when they are shaped. After restart() whoever asks for the same in
// the same order gets the same plans.
class KeptPlans final : public Ops {
 public:
  explicit KeptPlans(Ops& ops) : ops_(ops) {}
  void restart();
  void forget();  // others are asked for from now on
  std::shared_ptr<ConvPlan> conv(const ConvSpec&, const Epilogue&, const PlanOptions&) override;
  std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override;
  std::shared_ptr<GemmPlan> gemm(const GemmSpec&) override;
  std::string name(const Device& device) const override { return ops_.name(device); }

 private:
  template <class Plan>
  struct InOrder {
    std::vector<std::shared_ptr<Plan>> plans;
    std::size_t next = 0;
    template <class Make>
    std::shared_ptr<Plan> get(Make make) {
      if (next == plans.size()) plans.push_back(make());
      return plans[next++];
    }
  };
  Ops& ops_;
  InOrder<ConvPlan> convs_;
  InOrder<PoolPlan> pools_;
  InOrder<GemmPlan> gemms_;
};

struct KeptSize {
  explicit KeptSize(const Shape& shape, Ops& ops) : input(shape), plans(ops) {}
  Shape input;
  KeptPlans plans;
  GraphCache forwards, backwards, updates;
  bool complete = false;  // every plan is there
};

class KeptSizes {
 public:
  // The size that is used from now on; beyond `max` the least recently used one goes.
  KeptSize& use(const Shape& input, Ops&, std::size_t max);
  KeptSize& present() { return sizes_.front(); }
  bool drop_least_used();  // but for the present one; false: there is no other
  void forget_graphs();    // addresses that all sizes share have changed
  void clear();

 private:
  std::list<KeptSize> sizes_;  // the most recently used first
};

}  // namespace darknet
