#include "train/freeze.h"

#include <algorithm>

#include "core/error.h"
#include "core/index.h"

namespace darknet {

std::string freezing_override(const std::vector<Section>& cfg, std::int64_t layers) {
  const auto count = std::ssize(cfg) - 1;  // [net] is none
  if (layers < 1 || layers >= count)
    throw Error(
        cat("-freeze ", layers, ": expected 1 to ", count - 1, ", because ",
            cfg.front().where().file, " has ", count, " layers and the last must be trained"),
        2);
  const auto last = cfg.begin() + layers;
  const auto index =
      std::count_if(cfg.begin(), last, [&](const Section& s) { return s.type() == last->type(); });
  return cat(last->type(), ".", index, ".stopbackward=1");
}

}  // namespace darknet
