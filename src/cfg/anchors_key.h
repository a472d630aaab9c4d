// The `anchors` key of a detection head, and how it goes with its `num`.
#pragma once
#include <cstdint>
#include <vector>

#include "cfg/section.h"
#include "core/index.h"

namespace darknet {

enum class AnchorUnit : std::uint8_t { input_pixel, grid_cell };

struct AnchorsKey {
  AnchorUnit unit = AnchorUnit::input_pixel;
  std::vector<float> sides;  // width, height of every anchor, in units
  template <class V>
  void fields(V&& v) {
    v("anchors", sides, ListOf<float>{{1e-6f, 1e6f}},
      unit == AnchorUnit::grid_cell ? "width,height of every anchor in grid cells"
                                    : "width,height of every anchor in input pixels");
  }
};

// Leaves the width and height of the first `num` anchors, as Darknet does; a warning where there
// are more, an error where there are fewer.
inline void take_anchors(Section& section, std::int64_t num, AnchorsKey& anchors) {
  const auto needed = to_size(2 * num);
  const std::string text =
      cat("num=", num, " anchors need ", needed, " numbers, there are ", anchors.sides.size());
  if (anchors.sides.size() < needed) section.fail_between({"anchors", "num"}, text);
  if (anchors.sides.size() > needed)
    section.ignore("anchors", cat(text, "; the first ", needed, " count"));
  anchors.sides.resize(needed);
}

}  // namespace darknet
