#include "nn/freezing.h"

#include <algorithm>
#include <set>

#include "core/index.h"

namespace darknet {

bool freezes(std::int64_t until, std::int64_t iteration) {
  return until == 1 || iteration <= until;
}

std::vector<LayerTraining> trained_layers(std::span<const FreezableLayer> layers,
                                          std::int64_t iteration) {
  const std::size_t n = layers.size();
  std::size_t stop = 0;  // the backward pass ends above the layers before this one
  std::vector<bool> read(n, false), wanted(n, false);
  bool any_head = false;
  for (std::size_t i = 0; i < n; ++i) {
    any_head |= layers[i].head;
    if (freezes(layers[i].keys->stopbackward, iteration)) stop = i + 1;
    for (const std::int64_t s : layers[i].sources)
      if (s >= 0) read[to_size(s)] = true;
  }
  std::vector<LayerTraining> all(n);
  for (std::size_t i = n; i-- > 0;) {
    const CommonKeys& keys = *layers[i].keys;
    const bool makes = layers[i].head || (!any_head && !read[i]);
    all[i].gradient = i >= stop && !keys.onlyforward && (makes || wanted[i]);
    all[i].update = all[i].gradient && !freezes(keys.dont_update, iteration);
    if (!all[i].gradient) continue;
    for (const std::int64_t s : layers[i].sources)
      if (s >= 0) wanted[to_size(s)] = true;
  }
  return all;
}

std::vector<std::int64_t> frozen_iterations(std::span<const FreezableLayer> layers) {
  std::set<std::int64_t> ends{0};  // of freezing, the only iterations after which anything changes
  for (const FreezableLayer& l : layers) ends.insert({l.keys->stopbackward, l.keys->dont_update});
  std::vector<std::int64_t> all(layers.size(), kNeverTrained);
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const std::vector<LayerTraining> next = trained_layers(layers, *end + 1);
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (next[i].update) all[i] = *end;
  }
  return all;
}

std::string show_ranges(std::span<const std::int64_t> sorted) {
  std::string text;
  for (std::size_t i = 0; i < sorted.size();) {
    std::size_t last = i;
    while (last + 1 < sorted.size() && sorted[last + 1] == sorted[last] + 1) ++last;
    text += cat(text.empty() ? "" : ", ", sorted[i]);
    if (last > i) text += cat('-', sorted[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace darknet
