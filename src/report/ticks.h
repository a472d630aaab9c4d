// The positions of an axis's ticks and their labels.
#pragma once
#include <string>
#include <vector>

namespace darknet {

struct Tick {
  double value = 0;
  std::string label;
};

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<Tick> ticks;
  // 0 at low, 1 at high.
  double place(double value) const;
};

// An axis that holds low..high and ends at a step of 1, 2 or 5 times a power of ten, with a tick at
// each. With `log`: low > 0, and of a wide axis the powers of ten alone have ticks. Equal ends are
// widened; infinite ones count as 1e300, and NaN as a single value of 1.
Axis axis_for(double low, double high, int max_ticks, bool log);
// The same with the ends as they are.
Axis fixed_axis(double low, double high, int max_ticks);
// Leaves out the ticks between integers, on an axis that counts something.
void keep_whole_ticks(Axis&);

}  // namespace darknet
