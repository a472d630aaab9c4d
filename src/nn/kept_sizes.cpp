#include "nn/kept_sizes.h"

#include <algorithm>

namespace darknet {

void KeptPlans::restart() { convs_.next = pools_.next = gemms_.next = 0; }

void KeptPlans::forget() {
  convs_ = {};
  pools_ = {};
  gemms_ = {};
}

std::shared_ptr<ConvPlan> KeptPlans::conv(const ConvSpec& spec, const Epilogue& epilogue,
                                          const PlanOptions& options) {
  return convs_.get([&] { return ops_.conv(spec, epilogue, options); });
}

std::shared_ptr<PoolPlan> KeptPlans::pool(const PoolSpec& spec, const PlanOptions& options) {
  return pools_.get([&] { return ops_.pool(spec, options); });
}

std::shared_ptr<GemmPlan> KeptPlans::gemm(const GemmSpec& spec) {
  return gemms_.get([&] { return ops_.gemm(spec); });
}

KeptSize& KeptSizes::use(const Shape& input, Ops& ops, std::size_t max) {
  const auto found = std::ranges::find(sizes_, input, &KeptSize::input);
  if (found != sizes_.end()) {
    sizes_.splice(sizes_.begin(), sizes_, found);
  } else {
    while (!sizes_.empty() && sizes_.size() >= max) sizes_.pop_back();
    sizes_.emplace_front(input, ops);
  }
  return sizes_.front();
}

bool KeptSizes::drop_least_used() {
  if (sizes_.size() < 2) return false;
  sizes_.pop_back();
  return true;
}

void KeptSizes::forget_graphs() {
  for (KeptSize& size : sizes_)
    for (GraphCache* graphs : {&size.forwards, &size.backwards, &size.updates}) graphs->forget();
}

void KeptSizes::clear() { sizes_.clear(); }

}  // namespace darknet
