#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "nn/replay.h"

namespace darknet {
namespace {

// A graph is captured anew when anything of its pass changes.
TEST(CapturedPass, DiffersWithEveryField) {
  const Stream stream;
  const Pass pass{.stream = stream};
  std::int32_t count = 0;
  Truth truth;
  StepState state;
  std::vector<Pass> others(12, pass);
  others[0].mode = Mode::training;
  others[1].workspace = &count;
  others[2].saved = &count;
  others[3].step = &state;
  others[4].seed = 1;
  others[5].subdivision = 1;
  others[6].truths = {.data = &truth};
  others[7].truths = {.counts = &count};
  others[8].truths = {.images = 1};
  others[9].truths = {.capacity = 1};
  others[10].targets = {.data = &count};
  const float pixel = 0;
  others[11].input = &pixel;
  EXPECT_EQ(captured_of(pass), captured_of(Pass{.stream = stream}));
  for (std::size_t i = 0; i < others.size(); ++i)
    EXPECT_NE(captured_of(pass), captured_of(others[i])) << i;
  std::vector<TensorView> targets(3);
  targets[0].dtype = DType::f16;
  targets[1].shape = {1, 1, 1, 5};
  targets[2].pixel_stride = 5;
  for (const TensorView& t : targets)
    EXPECT_NE(captured_of(pass), captured_of(Pass{.stream = stream, .targets = t}));
}

}  // namespace
}  // namespace darknet
