// `darknet bench data`: what the loader alone takes.

#include "cli_harness.h"
#include "core/json.h"

namespace darknet::test {
namespace {

using BenchData = CliTest;

TEST_F(BenchData, MeasuresThePartsOfTheLoader) {
  const CommandResult ran = work_.darknet(
      {"bench", "data", "x.data", "x.cfg", "-images", "9", "-threads", "2", "-json", "b.json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  for (const char* part : {"images/s per core", "  read ", "  decode ", "  warp ", "  labels "})
    EXPECT_NE(ran.out.find(part), std::string::npos) << part << ran.all();
  const auto figures = parse_json(work_.get("b.json"));
  EXPECT_EQ(figures["images"], 10);  // batches of two
  EXPECT_EQ(figures["threads"], 2);
  EXPECT_GT(figures["images_per_second"], 0);
  double sum = 0;
  for (const auto& [part, seconds] : figures["seconds_per_image"].items()) {
    EXPECT_GE(seconds, 0) << part;
    sum += seconds.get<double>();
  }
  EXPECT_NEAR(sum * figures["images_per_second_and_core"].get<double>(), 1, 1e-9);
  for (const char* part : {"read", "decode", "warp"})
    EXPECT_GT(figures["seconds_per_image"][part], 0) << part;
}

TEST_F(BenchData, IsRefusedWithoutItsFiles) {
  expect_refused(work_.darknet({"bench", "data", "x.data"}), "cfg is required", 2);
  expect_refused(work_.darknet({"bench", "data", "none.data", "x.cfg"}), "none.data");
  expect_refused(work_.darknet({"bench"}), "cfg is required", 2);
}

}  // namespace
}  // namespace darknet::test
