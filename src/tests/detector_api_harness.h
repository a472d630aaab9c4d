// What the tests of the library share.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "cli_harness.h"
#include "core/error.h"
#include "core/json.h"
#include "darknet/detector.h"

namespace darknet {

inline bool operator==(const DetectedObject& a, const DetectedObject& b) {
  const auto values = [](const DetectedObject& o) {
    return std::array{o.probability,    o.objectness,     o.left,     o.top,
                      o.width,          o.height,         o.center_x, o.center_y,
                      o.relative_width, o.relative_height};
  };
  return a.class_id == b.class_id && values(a) == values(b);
}

namespace test {

inline constexpr Thresholds kThresholds{.2f, .45f};

// The sentence of the Exception that f() throws; "" where it throws none.
template <class F>
std::string refusal(F f) try {
  f();
  return "";
} catch (const Exception& e) {
  return e.what();
}

class DetectorApi : public CliTest {
 protected:
  DetectorApi() { put_tiny_weights(work_, "x.weights"); }
  Detector detector(DetectorOptions o = {}) const {
    o.device = "cpu";
    o.thresholds = kThresholds;
    return {work_.path("x.cfg"), work_.path("x.weights"), o};
  }
  std::filesystem::path image(int i) const { return work_.path(cat("images/", i, ".png")); }
  std::vector<std::filesystem::path> images() const {
    std::vector<std::filesystem::path> all;
    for (int i = 0; i < kTinyImages; ++i) all.push_back(image(i));
    return all;
  }
  // One that cannot be made, and why.
  std::string refused(const DetectorOptions& o) const {
    return refusal([&] { detector(o); });
  }
  // Of `darknet detect` with these flags, for the first images.
  nlohmann::json of_command(std::vector<std::string> flags) const {
    std::vector<std::string> all{"detect", "x.cfg",   "x.weights", "images/0.png", "images/1.png",
                                 "-names", "x.names", "-thresh",   ".2",           "-nms",
                                 ".45",    "-nogpu",  "-out",      "found.json",   "-dont_show"};
    all.insert(all.end(), flags.begin(), flags.end());
    const CommandResult ran = work_.darknet(all);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    nlohmann::json found = parse_json(work_.get("found.json"));
    work_.remove("found.json");
    return found;
  }
};

}  // namespace test
}  // namespace darknet
