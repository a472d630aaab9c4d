// The C interface: the same results as the C++ one, its options, statuses and sentences.
#include "darknet/c_api.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli_harness.h"
#include "darknet/detector.h"
#include "image/image.h"

namespace darknet::test {
namespace {

struct Free {
  void operator()(darknet_options* o) const { darknet_options_free(o); }
  void operator()(darknet_detector* d) const { darknet_close(d); }
  void operator()(darknet_object* o) const { darknet_free_objects(o); }
};
using Options = std::unique_ptr<darknet_options, Free>;
using Handle = std::unique_ptr<darknet_detector, Free>;

class CApi : public CliTest {
 protected:
  CApi() : options_(darknet_options_create()) {
    put_tiny_weights(work_, "x.weights");
    set("device", "cpu"), set("probability", ".2"), set("nms", "0.45");
  }
  void set(const char* key, const std::string& value) const {
    EXPECT_EQ(darknet_options_set(options_.get(), key, value.c_str()), DARKNET_OK)
        << darknet_last_error();
  }
  std::string path(const char* name) const { return work_.path(name).string(); }
  Handle open() const {
    darknet_detector* detector = nullptr;
    EXPECT_EQ(
        darknet_open(path("x.cfg").c_str(), path("x.weights").c_str(), options_.get(), &detector),
        DARKNET_OK)
        << darknet_last_error();
    return Handle(detector);
  }
  DetectedObjects expected(const char* image, const std::optional<Thresholds>& t = {}) const {
    return Detector(work_.path("x.cfg"), work_.path("x.weights"),
                    {.device = "cpu", .thresholds = {.2f, .45f}})
        .detect_file(work_.path(image), t);
  }
  // The status of this call, which left the handle alone.
  darknet_status opened(const char* cfg, const char* weights) const {
    darknet_detector* detector = nullptr;
    const darknet_status status = darknet_open(cfg, weights, options_.get(), &detector);
    EXPECT_EQ(detector, nullptr);
    return status;
  }

  Options options_;
};

void expect_same(const darknet_object* found, std::size_t count, const DetectedObjects& expected) {
  ASSERT_EQ(count, expected.size());
  ASSERT_GT(count, 0u);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(found[i].class_id, expected[i].class_id);
    EXPECT_EQ(found[i].probability, expected[i].probability);
    EXPECT_EQ(found[i].objectness, expected[i].objectness);
    EXPECT_EQ(found[i].left, expected[i].left);
    EXPECT_EQ(found[i].top, expected[i].top);
    EXPECT_EQ(found[i].width, expected[i].width);
    EXPECT_EQ(found[i].height, expected[i].height);
    EXPECT_EQ(found[i].center_x, expected[i].center_x);
    EXPECT_EQ(found[i].center_y, expected[i].center_y);
    EXPECT_EQ(found[i].relative_width, expected[i].relative_width);
    EXPECT_EQ(found[i].relative_height, expected[i].relative_height);
  }
}

TEST_F(CApi, FindsWhatTheDetectorFindsInFilesAndBuffers) {
  const Handle d = open();
  const std::string first = path("images/0.png"), second = path("images/1.png");
  const char* const files[] = {first.c_str(), second.c_str()};
  darknet_object* found = nullptr;
  std::size_t counts[2] = {};
  ASSERT_EQ(darknet_detect_files(d.get(), files, 2, nullptr, &found, counts), DARKNET_OK);
  const std::unique_ptr<darknet_object, Free> of_files(found);
  expect_same(found, counts[0], expected("images/0.png"));
  expect_same(found + counts[0], counts[1], expected("images/1.png"));

  const Image pixels = read_image(second);
  const darknet_image image{pixels.pixels.data(), pixels.width, pixels.height, 0, DARKNET_RGB};
  const darknet_thresholds lower{.1f, 0};
  ASSERT_EQ(darknet_detect(d.get(), &image, 1, &lower, &found, counts), DARKNET_OK);
  const std::unique_ptr<darknet_object, Free> of_buffer(found);
  expect_same(found, counts[0], expected("images/1.png", Thresholds{.1f, 0}));
}

TEST_F(CApi, OptionsReachTheDetector) {
  for (const char* name : {"a", "b", "c"}) set("class_name", name);
  for (const char* value : {"net.0.width=64", "net.0.height=96"}) set("override", value);
  set("batch", "2"), set("threads", "1"), set("detectors", "2"), set("letter_box", "1");
  set("exact", "1"), set("precision", "f32"), set("calibrate", "0");
  const Handle d = open();
  EXPECT_EQ(darknet_width(d.get()), 64);
  EXPECT_EQ(darknet_height(d.get()), 96);
  EXPECT_EQ(darknet_channels(d.get()), 3);
  EXPECT_EQ(darknet_classes(d.get()), 3);
  EXPECT_STREQ(darknet_class_name(d.get(), 2), "c");
  EXPECT_EQ(darknet_class_name(d.get(), 3), nullptr);
  EXPECT_EQ(darknet_class_name(d.get(), -1), nullptr);
  EXPECT_STREQ(darknet_version(), DARKNET_VERSION_STRING);
}

TEST_F(CApi, MessagesReachTheCallback) {
  work_.put("x.cfg", replaced(kTinyCfg, "filters=24", "filters=24\nflipped=1"));
  std::string messages;
  const auto log = [](int level, const char* message, void* user) {
    *static_cast<std::string*>(user) += std::to_string(level) + message;
  };
  ASSERT_EQ(darknet_options_set_log(options_.get(), log, &messages), DARKNET_OK);
  open();
  EXPECT_EQ(messages.rfind('1', 0), 0u) << messages;
  messages.clear();
  ASSERT_EQ(darknet_options_set_log(options_.get(), nullptr, nullptr), DARKNET_OK);
  open();
  EXPECT_EQ(messages, "");
}

TEST_F(CApi, RefusalsHaveAStatusAndASentence) {
  EXPECT_EQ(opened(path("none.cfg").c_str(), path("x.weights").c_str()), DARKNET_FAILED);
  EXPECT_NE(std::string(darknet_last_error()).find("none.cfg"), std::string::npos);
  EXPECT_EQ(opened(nullptr, "x.weights"), DARKNET_INVALID_ARGUMENT);
  EXPECT_STREQ(darknet_last_error(), "darknet_open: a null pointer");
  const auto refused = [&](const char* key, const char* value) {
    return darknet_options_set(options_.get(), key, value);
  };
  EXPECT_EQ(refused("colour", "1"), DARKNET_INVALID_ARGUMENT);
  EXPECT_STREQ(darknet_last_error(), "there is no option 'colour'");
  EXPECT_EQ(refused("batch", "two"), DARKNET_FAILED);
  EXPECT_STREQ(darknet_last_error(), "batch: 'two' is no number");
  EXPECT_EQ(refused("exact", "yes"), DARKNET_FAILED);
  EXPECT_EQ(refused("exact", nullptr), DARKNET_INVALID_ARGUMENT);
  EXPECT_EQ(darknet_options_set(nullptr, "exact", "1"), DARKNET_INVALID_ARGUMENT);
  set("detectors", "0");
  EXPECT_EQ(opened(path("x.cfg").c_str(), path("x.weights").c_str()), DARKNET_FAILED);
}

TEST_F(CApi, ARefusedImageLeavesTheOutputsAlone) {
  const Handle d = open();
  darknet_object* found = nullptr;
  std::size_t count = 77;
  const darknet_image empty{};
  EXPECT_EQ(darknet_detect(d.get(), &empty, 1, nullptr, &found, &count), DARKNET_FAILED);
  const char* const missing = "none.png";
  EXPECT_EQ(darknet_detect_files(d.get(), &missing, 1, nullptr, &found, &count), DARKNET_FAILED);
  const darknet_thresholds wrong{2, 0};
  const std::string file = path("images/0.png");
  const char* const good = file.c_str();
  EXPECT_EQ(darknet_detect_files(d.get(), &good, 1, &wrong, &found, &count), DARKNET_FAILED);
  EXPECT_EQ(darknet_detect_files(d.get(), nullptr, 1, nullptr, &found, &count),
            DARKNET_INVALID_ARGUMENT);
  EXPECT_EQ(darknet_detect(nullptr, &empty, 1, nullptr, &found, &count), DARKNET_INVALID_ARGUMENT);
  const std::array<unsigned char, 12> pixels{};
  for (const int format : {-1, 5, 256}) {
    darknet_image other{};
    other.pixels = pixels.data(), other.width = 2, other.height = 2;
    std::memcpy(&other.format, &format, sizeof format);
    EXPECT_EQ(darknet_detect(d.get(), &other, 1, nullptr, &found, &count),
              DARKNET_INVALID_ARGUMENT);
  }
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(count, 77u);
  ASSERT_EQ(darknet_detect(d.get(), nullptr, 0, nullptr, &found, nullptr), DARKNET_OK);
  darknet_free_objects(found);
  EXPECT_EQ(darknet_classes(nullptr), 0);
  EXPECT_EQ(darknet_class_name(nullptr, 0), nullptr);
  EXPECT_EQ(darknet_width(nullptr) + darknet_height(nullptr) + darknet_channels(nullptr), 0);
  darknet_free_objects(nullptr), darknet_close(nullptr), darknet_options_free(nullptr);
}

TEST_F(CApi, TheLastErrorIsThatOfTheThread) {
  EXPECT_EQ(darknet_options_set(options_.get(), "here", ""), DARKNET_INVALID_ARGUMENT);
  std::string before, after;
  std::thread([&] {
    before = darknet_last_error();
    darknet_options_set(options_.get(), "there", "");
    after = darknet_last_error();
  }).join();
  EXPECT_EQ(before, "");
  EXPECT_EQ(after, "there is no option 'there'");
  EXPECT_STREQ(darknet_last_error(), "there is no option 'here'");
}

}  // namespace
}  // namespace darknet::test
