#include "nn/tuning_use.h"

#include <algorithm>

#include "core/text.h"
#include "nn/network.h"

namespace darknet {
namespace {

constexpr std::string_view kWinograd = "winograd";  // what its algorithms' words begin with

bool takes_winograd(const Tuning& t) {
  return t.lines().find(cat("\"algorithm\":\"", kWinograd)) != std::string::npos;
}

// A direction of a convolution for which there is a choice.
struct Choosable {
  const Layer* layer;
  ConvolutionWork work;
  ConvDirection direction;
  ConvUse use() const { return conv_use(direction, work.spec, work.options); }
};

std::vector<Choosable> choosable(const Network& net) {
  std::vector<Choosable> all;
  for (std::int64_t i = 0; i < net.size(); ++i)
    if (const auto work = net.layer(i).planned_convolution())
      for (std::size_t d = 0; d < work->algorithms.size(); ++d)
        if (!work->algorithms[d].empty())
          all.push_back({&net.layer(i), *work, static_cast<ConvDirection>(d)});
  return all;
}

bool can_take_winograd(const Choosable& c, Ops& plans) {
  PlanOptions options = c.work.options;
  options.tuning = nullptr;
  const auto words = plans.conv(c.work.spec, c.work.epilogue, options)->algorithms(c.direction);
  return std::ranges::any_of(words, [](const auto& w) { return w.starts_with(kWinograd); });
}

std::string without_any(const Network& net, const Tuning& measured) {
  const Shape in = net.input_shape();
  return cat("the tuning file has ", plural(measured.size(), "choice"),
             ", none for a convolution of ", net.where().file,
             net.options().mode == Mode::training ? " in training" : " at inference", " with ",
             plural(in.n, "image"), " of ", in.w, " x ", in.h,
             " at a time; darknet bench -tune measures them");
}

std::string without_winograd(const Choosable& c) {
  return cat("the tuning file has no Winograd convolution, which ", c.layer->title(),
             " could take: older versions did not measure them, and its choices may be slower than "
             "the heuristic's; darknet bench -tune measures anew");
}

}  // namespace

std::string tuning_warning(const Network& net, const Tuning& measured) {
  if (measured.size() == 0) return "";
  std::vector<Choosable> all = choosable(net);
  if (all.empty()) return "";
  std::erase_if(all, [&](const Choosable& c) { return !measured.find(c.use()); });
  if (all.empty()) return without_any(net, measured);
  if (net.options().device.type != DeviceType::cpu || takes_winograd(measured)) return "";
  Ops& plans = ops(DeviceType::cpu);
  const auto could =
      std::ranges::find_if(all, [&](const Choosable& c) { return can_take_winograd(c, plans); });
  return could == all.end() ? "" : without_winograd(*could);
}

}  // namespace darknet
