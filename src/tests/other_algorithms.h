// A tuning table that takes, for every convolution of a network, something else than the
// heuristic does.
#pragma once
#include <string>

#include "core/tuning.h"
#include "nn/network.h"

namespace darknet::testing_tuning {

inline constexpr ConvDirection kDirections[] = {
    ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_weights};

// Where there is another one; entries count as measured.
inline Tuning others_for(const Network& net) {
  Tuning tuning(net.algorithms().library());
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const auto work = net.layer(i).convolution();
    if (!work) continue;
    PlanOptions o = work->options;
    o.tuning = nullptr;
    const auto plan = ops(net.options().device.type).conv(work->spec, work->epilogue, o);
    for (const ConvDirection d : kDirections)
      for (const std::string& word : plan->algorithms(d))
        if (word != plan->algorithm(d)) tuning.put(conv_use(d, work->spec, o), {word, 1});
  }
  return tuning;
}

}  // namespace darknet::testing_tuning
