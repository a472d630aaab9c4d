// The program on CUDA devices, as a user runs it; on real or emulated ones, of a CUDA build.
#include "tests/cli_harness.h"

#include <cstdlib>
#include <string_view>

#include "core/device.h"

namespace darknet {
namespace {

using test::CommandResult;
using test::expect_refused;

class DeviceProgram : public test::CliTest {
 protected:
  void SetUp() override {
    if (!built_with_cuda() || device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  }
  static bool emulated() {
    const char* const preloaded = std::getenv("LD_PRELOAD");
    return preloaded && std::string_view(preloaded).find("emulated_gpu") != std::string_view::npos;
  }
  // 20 iterations into a folder of their own; the bytes of the weights.
  std::string trained(const std::string& folder, std::vector<std::string> more) const {
    work_.put(folder + ".data",
              test::replaced(work_.get("x.data"), "backup = backup", "backup = " + folder));
    std::vector<std::string> command{"detector",      "train", folder + ".data",
                                     "x.cfg",         "-set",  "net.0.max_batches=20",
                                     "-deterministic"};
    command.insert(command.end(), more.begin(), more.end());
    const CommandResult ran = work_.darknet(command);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return work_.get(folder + "/x_final.weights");
  }
};

TEST_F(DeviceProgram, AgreesWithTheCpuInEveryType) {
  const auto check = [&](const char* devices, const char* precision) {
    const CommandResult ran =
        work_.darknet({"check", "x.cfg", "-devices", devices, "-exact", "-precision", precision});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    EXPECT_NE(ran.out.find("passed"), std::string::npos) << ran.all();
  };
  check("cpu,cuda", "f32");
  for (const char* precision : {"f16", "bf16"}) check("reference,cuda", precision);
}

TEST_F(DeviceProgram, TrainsTheSameBytesAgain) {
  const std::string once = trained("a", {"-gpus", "0"});
  EXPECT_EQ(once, trained("b", {"-gpus", "0"}));
  EXPECT_NE(once, trained("c", {"-gpus", "0", "-precision", "f16"}));
}

TEST_F(DeviceProgram, TrainsOnTwoDevices) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one device";
  EXPECT_EQ(trained("a", {"-gpus", "0,1"}), trained("b", {"-gpus", "0,1"}));
}

// What others wait for then never ends, and what comes of it is not saved.
TEST_F(DeviceProgram, ReportsWhatBrokeAmongDevices) {
  if (!emulated()) GTEST_SKIP() << "a real device does not break on request";
  const auto trains_without = [&](const char* broken) {
    setenv("EMULATED_GPU_REFUSE", broken, 1);
    CommandResult ran = train({"-gpus", "0,1"});
    unsetenv("EMULATED_GPU_REFUSE");
    EXPECT_FALSE(std::filesystem::exists(work_.path("backup/x_last.weights"))) << broken;
    return ran;
  };
  expect_refused(trains_without("all-reduce"), "an all-reduce of NCCL: ");
  expect_refused(trains_without("second-device"), "in an all-reduce, cuda:1: ");
}

TEST_F(DeviceProgram, RefusesDevicesThatAreNotThere) {
  const std::string beyond = std::to_string(device_count(DeviceType::cuda));
  expect_refused(train({"-gpus", "0," + beyond}), "there is no GPU " + beyond);
}

// Memory that does not suffice, for whatever it is, is reported before the first step.
TEST_F(DeviceProgram, SaysBeforeTheFirstStepThatMemoryIsShort) {
  if (!emulated()) GTEST_SKIP() << "a real device has the memory that it has";
  int by_plan = 0, by_allocation = 0;
  const auto trains_in = [&](int mib, const std::string& side) {
    setenv("EMULATED_GPU_MEMORY", std::to_string(mib).c_str(), 1);
    const CommandResult ran = train({"-gpus", "0,1", "-map", "-max_batches=2", "-set",
                                     "net.0.width=" + side, "-set", "net.0.height=" + side});
    unsetenv("EMULATED_GPU_MEMORY");
    const bool fits = ran.exit_code == 0;
    for (const char* device : {"memory of cuda:0, MiB: parameters ", "memory of cuda:1, MiB: "})
      EXPECT_EQ(ran.out.find(device) != std::string::npos, fits) << ran.all();
    if (fits) return true;
    ++(ran.err.find("out of memory on cuda:") != std::string::npos ? by_allocation : by_plan);
    expect_refused(ran, "; larger subdivisions= (training), a smaller width= and height=, or ");
    return false;
  };
  for (const char* side : {"96", "192"}) {
    int mib = 1;
    while (mib < 64 && !trains_in(mib, side)) ++mib;
    EXPECT_LT(mib, 64);
  }
  EXPECT_GE(by_plan, 1);
  EXPECT_GE(by_allocation, 1);
}

TEST_F(DeviceProgram, SaysHowManyIterationsAnOverflowLeftWithoutAnUpdate) {
  const CommandResult ran = train({"-precision", "f16", "-set", "net.0.learning_rate=.001"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find(" iterations updated nothing, because gradients overflowed f16"),
            std::string::npos)
      << ran.all();
}

TEST_F(DeviceProgram, ADemoHasOneNetworkOnAGpu) {
  put_tiny_weights(work_, "x.weights");
  const std::vector<std::string> demo{"detector", "demo",       "x.data", "x.cfg", "x.weights",
                                      "images",   "-benchmark", "-gpus",  "0"};
  std::vector<std::string> several = demo;
  several.insert(several.end(), {"-detectors", "2"});
  expect_refused(work_.darknet(several), "-detectors 2: a network on cuda:0 uses the whole GPU", 2);
  const CommandResult ran = work_.darknet(demo);
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

}  // namespace
}  // namespace darknet
