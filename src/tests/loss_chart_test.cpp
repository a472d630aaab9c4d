// darknet loss: the figure of losses against p_t, and their list.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <sstream>

#include "cli_harness.h"
#include "image/image.h"
#include "losses/class_loss.h"
#include "report/loss_chart.h"

namespace darknet::test {
namespace {

// By curve: p_t, loss, gradient.
std::map<std::string, std::vector<std::array<double, 3>>> table_of(const std::string& csv) {
  std::map<std::string, std::vector<std::array<double, 3>>> table;
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line + "\n", kLossCsvHeader);
  while (std::getline(lines, line)) {
    const auto end = line.find('"', 1);
    std::array<double, 3> row{};
    EXPECT_EQ(std::sscanf(line.c_str() + end + 1, ",%lf,%lf,%lf", row.data(), &row[1], &row[2]), 3);
    table[line.substr(1, end - 1)].push_back(row);
  }
  return table;
}

using LossPlot = CliTest;

TEST_F(LossPlot, WithoutLossesIsThePapersFigure) {
  const CommandResult ran = work_.darknet({"loss", "plot", "-out", "figure"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(ran.out, "-> figure.svg, figure.png, figure.csv\n");
  const auto table = table_of(work_.get("figure.csv"));
  const std::map<std::string, double> gammas{
      {"gamma 0 (ce)", 0}, {"gamma 0.5", .5}, {"gamma 1", 1}, {"gamma 2", 2}, {"gamma 5", 5}};
  ASSERT_EQ(table.size(), gammas.size());
  for (const auto& [name, gamma] : gammas) {
    ASSERT_TRUE(table.contains(name)) << name;
    EXPECT_GT(table.at(name).size(), 400u);
    for (const auto& [p, loss, slope] : table.at(name)) {
      EXPECT_NEAR(loss, -std::pow(1 - p, gamma) * std::log(p), 1e-8) << name << ' ' << p;
      EXPECT_NEAR(slope, std::pow(1 - p, gamma) * (1 - p - gamma * p * std::log(p)), 1e-8);
    }
    EXPECT_NE(work_.get("figure.svg").find(name), std::string::npos);
  }
  const Image image = read_image(work_.path("figure.png"));
  EXPECT_GT(image.height, image.width / 2);  // the gradients are below
}

TEST_F(LossPlot, DrawsBothSidesWhereTheyDiffer) {
  const CommandResult ran =
      work_.darknet({"loss", "plot", "ce", "focal:gamma=1,alpha=.25", "asymmetric"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto table = table_of(work_.get("loss.csv"));
  ASSERT_EQ(table.size(), 5u);
  const auto& object = table.at("focal:gamma=1,alpha=.25 (object)");
  const auto& background = table.at("focal:gamma=1,alpha=.25 (background)");
  for (std::size_t i = 0; i < object.size(); ++i)
    EXPECT_NEAR(background[i][1], 3 * object[i][1], 1e-7);
  EXPECT_NE(work_.get("loss.svg").find("ce = asymmetric (object)"), std::string::npos);
  EXPECT_EQ(table.at("asymmetric (background)").back()[1], 0);    // p = .002, below the margin
  EXPECT_EQ(work_.darknet({"loss", "plot", "ce"}).exit_code, 0);  // over its own files
}

TEST_F(LossPlot, RefusesWhatItCannotDraw) {
  expect_refused(work_.darknet({"loss", "plot", "foca"}), "did you mean 'focal'?", 2);
  expect_refused(work_.darknet({"loss", "plot", "ghm"}), "has no curve", 2);
  expect_refused(work_.darknet({"loss", "plot", "focal:gamma=9"}), "9 is outside [0, 8]", 2);
  expect_refused(work_.darknet({"loss", "plot", "focal", "focal:gamma=1", "focal:gamma=3",
                                "focal:gamma=4", "asymmetric"}),
                 "plot fewer", 2);
  work_.put("table.csv", "image,class\n1,2\n");
  expect_refused(work_.darknet({"loss", "plot", "-out", "table"}), "table.csv", 1);
  EXPECT_FALSE(work_.has("table.svg"));
}

TEST_F(LossPlot, TheListHasEveryLossAndItsKeys) {
  const CommandResult ran = work_.darknet({"loss", "list"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  std::istringstream lines(ran.out);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with(" ")) names.push_back(line);
  std::vector<std::string> expected = names_of<LogitLoss>();
  for (std::string& name : expected)
    if (!value_of<PointwiseLoss>(name)) name += " (of the objectness only)";
  for (const std::string& name : names_of<ClassLoss>())
    if (!value_of<LogitLoss>(name)) expected.push_back(name + " (of the class scores only)");
  EXPECT_EQ(names, expected);
  EXPECT_NE(ran.out.find("  epsilon            1  [-1, 10]"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace darknet::test
