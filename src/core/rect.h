// A rectangle of pixels.
#pragma once
#include <cstdint>

namespace darknet {

struct Rect {
  std::int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // [x0, x1) x [y0, y1)

  bool operator==(const Rect&) const = default;
};

inline bool is_empty(const Rect& r) { return r.x1 <= r.x0 || r.y1 <= r.y0; }

}  // namespace darknet
