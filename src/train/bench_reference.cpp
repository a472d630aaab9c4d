#include "train/bench_reference.h"

#include <chrono>

namespace darknet {

BaselineNetwork::BaselineNetwork(const Network& net, bool as_planned) {
  const Device& device = net.options().device;
  std::int64_t workspace = 1;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const auto work = net.layer(i).convolution();
    if (!work) continue;
    auto baseline =
        ops(device.type).baseline_conv(work->spec, work->epilogue, work->options, as_planned);
    if (!baseline)
      fail("-reference: ", to_string(device), " has no convolutions alone to compare with");
    workspace = std::max(workspace, baseline->workspace());
    convolutions_.push_back({i, std::move(baseline)});
  }
  workspace_ = Buffer(device, workspace);
}

double BaselineNetwork::timed(const Entry& e, ConvDirection direction) {
  if (!e.convolution->runs(direction)) return 0;
  const auto before = std::chrono::steady_clock::now();
  e.convolution->run(direction, workspace_.data());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
}

std::vector<BaselineNetwork::LayerTimes> BaselineNetwork::run(std::int64_t micro_batches) {
  std::vector<LayerTimes> times;
  for (const Entry& e : convolutions_) times.push_back({.layer = e.layer});
  for (std::int64_t micro_batch = 0; micro_batch < micro_batches; ++micro_batch) {
    for (std::size_t i = 0; i < convolutions_.size(); ++i)
      times[i].forward += timed(convolutions_[i], ConvDirection::forward);
    for (std::size_t i = convolutions_.size(); i-- > 0;)
      times[i].backward += timed(convolutions_[i], ConvDirection::backward_weights) +
                           timed(convolutions_[i], ConvDirection::backward_data);
  }
  return times;
}

}  // namespace darknet
