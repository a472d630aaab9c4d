// What darknet/detector.h throws, and for what.
#include <algorithm>
#include <cstdint>

#include "cfg/parse.h"
#include "core/index.h"
#include "detector_api_harness.h"
#include "image/codec.h"
#include "image_samples.h"
#include "nn/weights.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

TEST_F(DetectorApi, WhatCannotBeOpenedIsAnExceptionThatSaysWhy) {
  const auto opened = [&](const char* cfg, const char* weights) {
    return refusal([&] { Detector(work_.path(cfg), work_.path(weights), {.device = "cpu"}); });
  };
  EXPECT_NE(opened("none.cfg", "x.weights").find("none.cfg: "), std::string::npos);
  EXPECT_NE(opened("x.cfg", "none.weights").find("none.weights: "), std::string::npos);
  work_.put("bad.cfg", replaced(kTinyCfg, "[yolo]", "[nothing]"));
  EXPECT_NE(opened("bad.cfg", "x.weights").find("bad.cfg:34"), std::string::npos)
      << opened("bad.cfg", "x.weights");
  const std::string weights = work_.get("x.weights");
  work_.put("short.weights", weights.substr(0, weights.size() - 4));
  work_.put("long.weights", weights + "1234");
  EXPECT_NE(opened("x.cfg", "short.weights").find("short.weights: "), std::string::npos);
  EXPECT_NE(opened("x.cfg", "long.weights").find("long.weights: "), std::string::npos);
  EXPECT_EQ(opened("x.cfg", "x.weights"), "");
}

TEST_F(DetectorApi, OptionsThatCannotBeAreExceptions) {
  EXPECT_NE(refused({.class_names = {"a"}}), "");
  EXPECT_NE(refused({.names = work_.path("x.names"), .class_names = {"a", "b", "c"}}), "");
  EXPECT_NE(refused({.precision = "f64"}).find("precision"), std::string::npos);
  EXPECT_NE(refused({.precision = "int8"}).find("x.int8"), std::string::npos);
  EXPECT_NE(refused({.batch = 0}), "");
  EXPECT_NE(refused({.threads = -1}), "");
  EXPECT_NE(refused({.overrides = {"net.0.nothing=1"}}), "");
  for (const char* device : {"tpu", "cuda:4711"})
    EXPECT_NE(refusal([&] {
                Detector(work_.path("x.cfg"), work_.path("x.weights"), {.device = device});
              }),
              "")
        << device;
}

TEST_F(DetectorApi, ImagesThatCannotBeAreExceptionsAndTheNextOneIsDetected) {
  Detector d = detector();
  const DetectedObjects expected = d.detect_file(image(0));
  const std::vector<std::uint8_t> pixels(300);
  const auto with = [&](const ImageView& view) { return refusal([&] { d.detect(view); }); };
  EXPECT_EQ(with({}), "an empty image: 0 x 0 pixels, without a pointer to them");
  EXPECT_EQ(with({pixels.data(), 10, 0}), "an empty image: 10 x 0 pixels");
  EXPECT_EQ(with({pixels.data(), -10, 10}), "an empty image: -10 x 10 pixels");
  EXPECT_EQ(with({nullptr, 10, 10}), "an empty image: 10 x 10 pixels, without a pointer to them");
  EXPECT_EQ(with({pixels.data(), 10, 10, PixelFormat::rgb, 29}),
            "an image with a stride of 29 bytes, but 10 pixels in a row have 30");
  for (const std::int64_t stride : {INT64_MIN, INT64_MAX})
    EXPECT_NE(with({pixels.data(), 10, 10, PixelFormat::rgb, stride}), "");
  EXPECT_NE(with({pixels.data(), 1 << 20, 1 << 20}), "");
  EXPECT_NE(with({pixels.data(), std::int64_t{1} << 62, 1}), "");
  EXPECT_NE(with({pixels.data(), 10, 10, static_cast<PixelFormat>(77)}), "");
  const auto of_file = [&](const fs::path& file) { return refusal([&] { d.detect_file(file); }); };
  EXPECT_NE(of_file("none.png").find("none.png"), std::string::npos);
  work_.put("no.png", std::string("no image"));
  EXPECT_NE(of_file(work_.path("no.png")).find("no.png: cannot decode"), std::string::npos);
  EXPECT_EQ(d.detect_file(image(0)), expected);
}

// The library does not own the standard error of its process.
TEST_F(DetectorApi, WhatDecodersComplainOfGoesToTheLog) {
  const std::string png = work_.get("images/0.png"), jpeg = encode(read_image(image(0)), ".jpg");
  work_.put("odd.png",
            testing_images::png_with_chunk(png, "iCCP", std::string("x\0\0damaged", 10)));
  work_.put("odd.jpg", jpeg.substr(0, jpeg.size() - 2) + "\1\2\3" + jpeg.substr(jpeg.size() - 2));
  std::string log;
  testing::internal::CaptureStderr();
  Detector d = detector({.log = [&](LogLevel, const std::string& text) { log += text + "\n"; }});
  for (const char* name : {"odd.png", "odd.jpg"}) d.detect_file(work_.path(name));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  if (image_library() == "stb") return;  // it says nothing of either
  EXPECT_NE(log.find("odd.png: libpng warning: iCCP"), std::string::npos) << log;
  EXPECT_NE(log.find("odd.jpg: libjpeg: "), std::string::npos) << log;
}

TEST_F(DetectorApi, DamagedWeightsAreAnException) {
  Network net(read_cfg(work_.path("x.cfg")), {});
  net.initialise();
  for (Parameter* p : net.layer(0).parameters())
    for (std::int64_t i = 0; i < p->value.size(); ++i) p->value.data()[i] = i % 2 ? 3e38f : -3e38f;
  work_.put("x.weights", weights_bytes(net, 0));
  Detector d = detector();
  EXPECT_NE(refusal([&] { d.detect_file(image(0)); }).find("not a finite number"),
            std::string::npos);
}

// A black image has none: every weight is multiplied by zero.
TEST_F(DetectorApi, NumbersThatAreNotFiniteAreFoundInEveryImageOfABatch) {
  Network net(read_cfg(work_.path("x.cfg")), {});
  net.initialise();
  const std::vector<Parameter*> parameters = net.layer(0).parameters();
  Tensor& filters = (*std::ranges::max_element(parameters, {}, [](const Parameter* p) {
                      return p->value.size();
                    }))->value;
  std::fill_n(filters.data(), filters.size(), 3e38f);
  work_.put("x.weights", weights_bytes(net, 0));
  Image black(64, 48, 3), white = black;
  std::ranges::fill(white.pixels, std::uint8_t{255});
  work_.put("black.png", black);
  work_.put("white.png", white);
  DetectorOptions o;
  o.batch = 2;
  Detector d = detector(o);
  EXPECT_NO_THROW(d.detect_files({work_.path("black.png"), work_.path("black.png")}));
  EXPECT_NE(refusal([&] {
              d.detect_files({work_.path("black.png"), work_.path("white.png")});
            }).find("not a finite number"),
            std::string::npos);
}

}  // namespace
}  // namespace darknet::test
