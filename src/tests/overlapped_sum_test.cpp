// Gradients that are summed over the ranks while their backward pass goes on: a pass that fails
// ends the job, since the other ranks wait for sums that this one does not begin.
#include "train/overlapped_sum.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>

#include "cfg/parse.h"
#include "core/log_capture.h"

namespace darknet {
namespace {

// One of two ranks; the other is not there. Counts what it is asked for.
class OneOfTwo : public Ranks {
 public:
  std::int64_t count() const override { return 2; }
  void sum(std::span<float> values, const SumOptions&) override {
    summed += std::ssize(values);
    if (fails) throw std::runtime_error("a sum failed");
  }
  using Ranks::sum;
  void abort(int) override { ++aborts; }
  std::int64_t summed = 0;
  int aborts = 0;
  bool fails = false;
};

class OverlappedSums : public testing::Test {
 protected:
  static Network network() {
    std::istringstream in(
        "[net]\nbatch=1\nwidth=8\nheight=8\n"
        "[convolutional]\nfilters=2\nsize=3\npad=1\nactivation=linear\n");
    return Network(parse_cfg(in, "net.cfg"), {.mode = Mode::training});
  }
  std::vector<std::string> said_;
  log::Capture::Take take_ = [this](log::Level, const std::string& m) { said_.push_back(m); };
  log::Capture capture_{take_};
  Network net_ = network();
  OneOfTwo ranks_;
};

TEST_F(OverlappedSums, ThatAreFinishedEndNothing) {
  {
    OverlappedSum sum(net_, ranks_, {});
    EXPECT_FALSE(sum.begun());
    sum.begin();
    sum.after(0, true);
    sum.finish();
    EXPECT_FALSE(sum.begun());
  }
  EXPECT_EQ(ranks_.summed, net_.gradients().shape.size());
  EXPECT_EQ(ranks_.aborts, 0);
}

TEST_F(OverlappedSums, OfAPassThatFailsEndTheJobAndSayWhy) {
  {
    OverlappedSum sum(net_, ranks_, {});
    sum.begin();
    sum.give_up("a layer failed");
  }
  EXPECT_EQ(ranks_.aborts, 1);
  ASSERT_FALSE(said_.empty());
  EXPECT_EQ(said_.back().find("a layer failed; the job ends"), 0u) << said_.back();
}

TEST_F(OverlappedSums, ThatAreLeftEndTheJob) {
  {
    OverlappedSum sum(net_, ranks_, {});
    sum.begin();
  }
  EXPECT_EQ(ranks_.aborts, 1);
}

TEST_F(OverlappedSums, ThatFailEndTheJob) {
  OverlappedSum sum(net_, ranks_, {});
  ranks_.fails = true;
  sum.begin();
  EXPECT_THROW(sum.finish(), std::runtime_error);
  EXPECT_EQ(ranks_.aborts, 1);
}

}  // namespace
}  // namespace darknet
