// Gradients that are summed while their backward pass goes on: bucket after bucket, each once all
// networks have reached it. A pass that fails ends the job, since the other ranks wait for sums
// that this one does not begin.
#include "train/overlapped_sum.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>

#include "cfg/parse.h"
#include "core/device_failure.h"
#include "core/log_capture.h"
#include "core/text.h"
#include "core/together.h"
#include "train/join_devices.h"

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
        "[convolutional]\nfilters=2\nsize=3\npad=1\nactivation=linear\n"
        "[convolutional]\nfilters=40\nsize=1\nactivation=linear\n"
        "[convolutional]\nfilters=9\nsize=1\nactivation=linear\n");
    return Network(parse_cfg(in, "net.cfg"), {.mode = Mode::training});
  }
  std::vector<std::string> said_;
  log::Capture::Take take_ = [this](log::Level, const std::string& m) { said_.push_back(m); };
  log::Capture capture_{take_};
  std::int64_t all() const { return net_.gradients().shape.size(); }

  Network net_ = network();
  OneOfTwo ranks_;
  std::vector<Bucket> buckets_ = buckets_of(net_, 64);
  RankSums rank_sums_{net_, ranks_, {}, buckets_};
};

// Writes down what it is asked for.
class Written final : public BucketSums {
 public:
  void reached(std::size_t place, std::size_t bucket) override {
    text += cat("r", place, bucket, " ");
  }
  void begin(std::size_t bucket) override { text += cat("b", bucket, " "); }
  void finish() override { text += "f "; }
  std::string text;
};

TEST_F(OverlappedSums, HaveBucketsFromTheLastLayerToTheFirst) {
  ASSERT_EQ(buckets_.size(), 3u);
  std::int64_t end = all(), layer = net_.size() - 1;
  for (const Bucket& b : buckets_) {
    EXPECT_EQ(b.end, end);
    EXPECT_EQ(b.layer, layer--);
    EXPECT_EQ(net_.layer(b.layer).parameters().front()->gradient.data,
              net_.gradients().as<>().data + b.begin);
    end = b.begin;
  }
  EXPECT_EQ(end, 0);
  const std::vector<Bucket> one = buckets_of(net_, 1 << 20);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].begin, 0);
  EXPECT_EQ(one[0].end, all());
  EXPECT_EQ(one[0].layer, 0);
}

// The backward pass may end there.
TEST_F(OverlappedSums, HaveTheirLastBucketWhereTheFirstGradientsAre) {
  std::istringstream in(
      "[net]\nbatch=1\nwidth=8\nheight=8\n[maxpool]\nsize=2\nstride=2\n"
      "[convolutional]\nfilters=2\nsize=3\npad=1\nactivation=linear\n"
      "[convolutional]\nfilters=9\nsize=1\nactivation=linear\n");
  Network net(parse_cfg(in, "net.cfg"), {.mode = Mode::training});
  for (const std::int64_t bytes : {1, 1 << 20})
    EXPECT_EQ(buckets_of(net, bytes).back().layer, 1) << bytes;
}

TEST_F(OverlappedSums, ForgetWhatAStepThatFailedHasBegun) {
  Written written;
  OverlappedSum sum({&net_}, ranks_, buckets_, written);
  sum.begin(0);
  sum.reach(0, 1);
  sum.restart();
  EXPECT_FALSE(sum.begun());
  written.text.clear();
  sum.finish();
  EXPECT_EQ(written.text, "r00 r01 r02 b0 b1 b2 f ");
  EXPECT_EQ(ranks_.aborts, 0);
}

// Layer 1 stands for one that is frozen: nobody says that its pass was asked for.
TEST_F(OverlappedSums, BeginEachBucketOnceAllNetworksHaveReachedIt) {
  Written written;
  Ranks alone;
  Network other = network();
  OverlappedSum sum({&net_, &other}, alone, buckets_, written);
  const char* const expected =
      "r00 r01 r02 "  // the first network alone begins nothing
      "r10 b0 r11 r12 b1 b2 f ";
  for (int step = 0; step < 2; ++step) {
    written.text.clear();
    sum.begin(0);
    for (const std::int64_t layer : {2, 0}) sum.reach(0, layer);
    sum.begin(1);
    for (const std::int64_t layer : {2, 0}) sum.reach(1, layer);
    EXPECT_TRUE(sum.begun());
    sum.finish();
    EXPECT_FALSE(sum.begun());
    EXPECT_EQ(written.text, expected);
  }
  written.text.clear();
  sum.finish();  // without a pass that was begun: all of them now
  EXPECT_EQ(written.text, "r00 r01 r02 r10 r11 r12 b0 b1 b2 f ");
}

// One process alone leaves the fault to whoever catches it.
TEST_F(OverlappedSums, OfOneProcessThatFailEndNothing) {
  Written written;
  Ranks alone;
  OverlappedSum sum({&net_}, alone, buckets_, written);
  sum.begin(0);
  sum.reach(0, 1);
  sum.give_up("a layer failed");
  EXPECT_FALSE(sum.begun());
  EXPECT_TRUE(said_.empty());
  written.text.clear();
  sum.finish();
  EXPECT_EQ(written.text, "r00 r01 r02 b0 b1 b2 f ") << "the next step begins anew";
}

TEST_F(OverlappedSums, ThatAreFinishedEndNothing) {
  {
    OverlappedSum sum({&net_}, ranks_, buckets_, rank_sums_);
    EXPECT_FALSE(sum.begun());
    sum.begin(0);
    sum.reach(0, 0);
    sum.finish();
    EXPECT_FALSE(sum.begun());
  }
  EXPECT_EQ(ranks_.summed, all());
  EXPECT_EQ(ranks_.aborts, 0);
}

TEST_F(OverlappedSums, OfAPassThatFailsEndTheJobAndSayWhy) {
  {
    OverlappedSum sum({&net_}, ranks_, buckets_, rank_sums_);
    sum.begin(0);
    sum.give_up("a layer failed");
  }
  EXPECT_EQ(ranks_.aborts, 1);
  ASSERT_FALSE(said_.empty());
  EXPECT_EQ(said_.back().find("a layer failed; the job ends"), 0u) << said_.back();
}

TEST_F(OverlappedSums, ThatAreLeftEndTheJob) {
  {
    OverlappedSum sum({&net_}, ranks_, buckets_, rank_sums_);
    sum.begin(0);
  }
  EXPECT_EQ(ranks_.aborts, 1);
}

TEST_F(OverlappedSums, OfDevicesEndTheJobWhereARankFailsAlone) {
  const Device gpu{.type = DeviceType::cuda};
  end_job_of_devices(ranks_, {}, Error("a full disk"));  // without GPUs nothing waits
  Ranks alone;
  end_job_of_devices(alone, gpu, Error("a full disk"));
  end_job_of_devices(ranks_, gpu, CommonFailure("all know"));
  EXPECT_TRUE(said_.empty());
  EXPECT_EQ(ranks_.aborts, 0);
  end_job_of_devices(ranks_, gpu, Error("a full disk"));
  end_job_of_devices(ranks_, gpu, DeviceFailure("a broken link"));
  end_job_of_devices(ranks_, gpu, CommonFailure("a broken GPU", 1, true));
  EXPECT_EQ(said_, (std::vector<std::string>{"a full disk", "a broken link", "a broken GPU"}));
  EXPECT_EQ(ranks_.aborts, 3);
}

TEST_F(OverlappedSums, ThatFailEndTheJob) {
  OverlappedSum sum({&net_}, ranks_, buckets_, rank_sums_);
  ranks_.fails = true;
  sum.begin(0);
  EXPECT_THROW(sum.finish(), std::runtime_error);
  EXPECT_EQ(ranks_.aborts, 1);
}

}  // namespace
}  // namespace darknet
