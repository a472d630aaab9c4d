// The library: that it finds what the command finds, to the last bit, from files and from buffers
// of every kind; its options, its errors, its silence, and its use by several threads.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <fstream>
#include <thread>

#include "api/home_thread.h"
#include "cfg/parse.h"
#include "core/checksum.h"
#include "core/device.h"
#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "darknet/detector_pool.h"
#include "darknet/version.h"
#include "detector_api_harness.h"
#include "eval/calibration_file.h"
#include "nn/weights.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

void expect_equal(const nlohmann::json& frame, const DetectedObjects& found,
                  const Detector& detector) {
  const auto& objects = frame.at("objects");
  ASSERT_EQ(objects.size(), found.size());
  ASSERT_GT(found.size(), 0u);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const DetectedObject& o = found[i];
    const auto& box = objects[i].at("relative_coordinates");
    EXPECT_EQ(objects[i].at("class_id"), o.class_id);
    EXPECT_EQ(objects[i].at("name"), detector.class_name(o.class_id));
    EXPECT_EQ(objects[i].at("confidence").get<float>(), o.probability);
    EXPECT_EQ(box.at("center_x").get<float>(), o.center_x);
    EXPECT_EQ(box.at("center_y").get<float>(), o.center_y);
    EXPECT_EQ(box.at("width").get<float>(), o.relative_width);
    EXPECT_EQ(box.at("height").get<float>(), o.relative_height);
  }
}

TEST_F(DetectorApi, FindsWhatTheCommandFinds) {
  struct Case {
    std::vector<std::string> flags;
    DetectorOptions options;
  };
  for (const Case& c :
       {Case{}, Case{{"-letter_box"}, {.letter_box = true}}, Case{{"-exact"}, {.exact = true}},
        Case{{"-set", "net.0.width=64"}, {.overrides = {"net.0.width=64"}}},
        Case{{"-tile", "32x40", "-overlap", ".25"},
             {.tile_width = 32, .tile_height = 40, .tile_overlap = .25f}},
        Case{{"-tile", "32", "-tiles_only"},
             {.tile_width = 32, .tile_height = 32, .tiles_only = true}},
        Case{{"-precision", "f32"}, {.precision = "f32"}}}) {
    DetectorOptions o = c.options;
    o.names = work_.path("x.names");
    Detector d = detector(o);
    const nlohmann::json frames = of_command(c.flags);
    for (int i = 0; i < 2; ++i) expect_equal(frames.at(to_size(i)), d.detect_file(image(i)), d);
  }
}

TEST_F(DetectorApi, CalibratesAsTheCommandDoes) {
  const Network net(read_cfg(work_.path("x.cfg")), {});
  const std::uint64_t checksum = checksum_of(work_.get("x.weights"));
  EXPECT_NE(refused({.tile_width = 32}).find("give both sides"), std::string::npos);
  EXPECT_NE(refused({.tile_width = 32, .tile_height = 32, .tile_overlap = 1}).find("in one place"),
            std::string::npos);
  EXPECT_NE(refused({.calibrate = true}).find("darknet detector calibrate"), std::string::npos);
  write_calibration(work_.path("x.calibration.json"), calibrated_network(net, checksum),
                    {.map = ConfidenceMap::of_temperature(.7)});
  Detector d = detector({.names = work_.path("x.names"), .calibrate = true});
  const DetectedObjects found = d.detect_file(image(0));
  expect_equal(of_command({"-calibrate"}).at(0), found, d);
  EXPECT_NE(found, detector().detect_file(image(0)));
}

TEST_F(DetectorApi, BoxesArePixelsOfTheImage) {
  work_.put("wide.png", Image(96, 48, 3));
  const DetectedObjects found = detector().detect_file(work_.path("wide.png"));
  ASSERT_FALSE(found.empty());
  for (const DetectedObject& o : found) {
    EXPECT_FLOAT_EQ(o.left, (o.center_x - o.relative_width / 2) * 96);
    EXPECT_FLOAT_EQ(o.top, (o.center_y - o.relative_height / 2) * 48);
    EXPECT_FLOAT_EQ(o.width, o.relative_width * 96);
    EXPECT_FLOAT_EQ(o.height, o.relative_height * 48);
  }
}

TEST_F(DetectorApi, ThresholdsAreThoseOfTheCallOrOfTheOptions) {
  Detector d = detector();
  const std::size_t usual = d.detect_file(image(0)).size();
  EXPECT_GT(d.detect_file(image(0), Thresholds{.05f, .45f}).size(), usual);
  EXPECT_GT(d.detect_file(image(0), Thresholds{.2f, 0}).size(), usual);
  EXPECT_EQ(d.detect_file(image(0), Thresholds{1, .45f}).size(), 0u);
  EXPECT_EQ(d.detect_file(image(0)).size(), usual);
  const auto with = [&](float probability, float nms) {
    return refusal([&] { d.detect_file(image(0), Thresholds{probability, nms}); });
  };
  EXPECT_EQ(with(1.5f, .45f), "the threshold 1.5 is not from 0 to 1");
  EXPECT_EQ(with(.2f, -1), "the overlap -1 for suppression is not from 0 to 1");
  EXPECT_NE(with(NAN, .45f), "");
}

// The pixels of an image in another layout, with `gap` bytes of noise after each row.
struct Buffer {
  Buffer(const Image& image, PixelFormat format, std::int64_t gap, bool upwards) {
    const std::int64_t bytes = format == PixelFormat::grey                                ? 1
                               : format == PixelFormat::rgb || format == PixelFormat::bgr ? 3
                                                                                          : 4;
    const bool blue_first = format == PixelFormat::bgr || format == PixelFormat::bgra;
    const std::int64_t stride = image.width * bytes + gap;
    data.assign(to_size(stride * image.height), 0xA5);
    for (std::int64_t y = 0; y < image.height; ++y)
      for (std::int64_t x = 0; x < image.width; ++x)
        for (std::int64_t c = 0; c < std::min<std::int64_t>(bytes, 3); ++c) {
          const std::int64_t row = upwards ? image.height - 1 - y : y;
          data[to_size(row * stride + x * bytes + (blue_first ? 2 - c : c))] = image.at(x, y)[c];
        }
    view = {upwards ? data.data() + stride * (image.height - 1) : data.data(), image.width,
            image.height, format,
            upwards   ? -stride
            : gap > 0 ? stride
                      : 0};
  }
  std::vector<std::uint8_t> data;
  ImageView view;
};

Image many_colours(std::int64_t width, std::int64_t height) {
  Image image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      std::uint8_t* p = image.at(x, y);
      p[0] = static_cast<std::uint8_t>(x * 5), p[1] = static_cast<std::uint8_t>(y * 7);
      p[2] = static_cast<std::uint8_t>(x * y);
    }
  return image;
}

Image grey_in_colour(Image image) {
  const Image grey = grey_of(image);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = grey.pixels[i / 3];
  return image;
}

void expect_buffers_like_files(Detector& d, const Workspace& work) {
  const Image colour = many_colours(50, 40), grey = grey_in_colour(colour);
  work.put("colour.png", colour), work.put("grey.png", grey);
  const DetectedObjects of_colour = d.detect_file(work.path("colour.png")),
                        of_grey = d.detect_file(work.path("grey.png"));
  ASSERT_FALSE(of_colour.empty());
  ASSERT_NE(of_colour, of_grey);
  for (const PixelFormat format : {PixelFormat::grey, PixelFormat::rgb, PixelFormat::bgr,
                                   PixelFormat::rgba, PixelFormat::bgra})
    for (const std::int64_t gap : {0, 5})
      for (const bool upwards : {false, true}) {
        const bool is_grey = format == PixelFormat::grey;
        const Buffer buffer(is_grey ? grey : colour, format, gap, upwards);
        EXPECT_EQ(d.detect(buffer.view), is_grey ? of_grey : of_colour)
            << static_cast<int>(format) << " gap " << gap << " upwards " << upwards;
      }
}

TEST_F(DetectorApi, BuffersOfEveryFormatEqualTheFile) {
  Detector d = detector();
  EXPECT_EQ(d.channels(), 3);
  expect_buffers_like_files(d, work_);
}

TEST_F(DetectorApi, AGreyNetworkReadsColoursAsGreyOnes) {
  work_.put("x.cfg", replaced(kTinyCfg, "channels=3", "channels=1"));
  put_tiny_weights(work_, "x.weights");
  Detector d = detector();
  EXPECT_EQ(d.channels(), 1);
  const Image colour = many_colours(50, 40);
  work_.put("colour.png", colour), work_.put("grey.png", grey_in_colour(colour));
  const DetectedObjects found = d.detect_file(work_.path("colour.png"));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found, d.detect_file(work_.path("grey.png")));
  for (const PixelFormat format : {PixelFormat::rgb, PixelFormat::bgra})
    EXPECT_EQ(d.detect(Buffer(colour, format, 3, false).view), found);
  EXPECT_EQ(d.detect(Buffer(grey_in_colour(colour), PixelFormat::grey, 3, true).view), found);
}

TEST_F(DetectorApi, BatchesHaveTheResultsOfTheirImagesInOrder) {
  Detector one = detector();
  std::vector<DetectedObjects> expected;
  for (const fs::path& file : images()) expected.push_back(one.detect_file(file));
  EXPECT_NE(expected[0], expected[1]);
  EXPECT_EQ(one.detect_files(images()), expected);
  std::vector<Buffer> buffers;
  for (const fs::path& file : images())
    buffers.emplace_back(read_image(file), PixelFormat::bgr, 3, false);
  std::vector<ImageView> views;
  for (const Buffer& buffer : buffers) views.push_back(buffer.view);
  EXPECT_EQ(one.detect_batch(views), expected);
  EXPECT_TRUE(one.detect_batch({}).empty());
}

// A last part that is not full, and then a full one again.
TEST_F(DetectorApi, ForwardPassesOfSeveralImagesFindTheSame) {
  Detector one = detector(), three = detector({.batch = 3});
  const auto expected = one.detect_files(images());
  for (int repeat = 0; repeat < 2; ++repeat) {
    const auto found = three.detect_files(images());
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].size(), expected[i].size()) << i;
      for (std::size_t k = 0; k < found[i].size(); ++k) {
        EXPECT_EQ(found[i][k].class_id, expected[i][k].class_id);
        EXPECT_NEAR(found[i][k].probability, expected[i][k].probability, 1e-5f);
        EXPECT_NEAR(found[i][k].left, expected[i][k].left, 1e-3f);
      }
    }
  }
}

TEST_F(DetectorApi, DescribesTheNetwork) {
  const Detector plain = detector({.overrides = {"net.0.width=64"}});
  EXPECT_EQ(plain.width(), 64);
  EXPECT_EQ(plain.height(), 32);
  EXPECT_EQ(plain.device(), "cpu");
  EXPECT_EQ(plain.classes(), 3);
  EXPECT_EQ(plain.class_name(2), "class 2");
  EXPECT_EQ(refusal([&] { plain.class_name(3); }),
            "there is no class 3: the network has 3 classes, counted from 0");
  EXPECT_EQ(detector({.class_names = {"a", "b", "c"}}).class_name(1), "b");
  EXPECT_EQ(detector({.names = work_.path("x.names")}).class_names(),
            std::vector<std::string>({"red", "green", "blue"}));
  EXPECT_STREQ(version(), DARKNET_VERSION_STRING);
}

TEST_F(DetectorApi, IsSilentAndHandsMessagesToItsCallback) {
  work_.put("x.cfg", replaced(kTinyCfg, "filters=24", "filters=24\nflipped=1"));
  std::vector<std::pair<LogLevel, std::string>> messages;
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  detector().detect_file(image(0));
  detector({.log = [&](LogLevel level, const std::string& text) {
    messages.emplace_back(level, text);
  }}).detect_file(image(0));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(messages.empty());
  EXPECT_EQ(messages.front().first, LogLevel::warning);
  EXPECT_NE(messages.front().second.find("x.cfg"), std::string::npos) << messages.front().second;
}

TEST_F(DetectorApi, MovesBetweenThreadsAndObjects) {
  Detector first = detector();
  const DetectedObjects expected = first.detect_file(image(0));
  Detector second(std::move(first));
  DetectedObjects found;
  std::thread([&] { found = second.detect_file(image(0)); }).join();
  EXPECT_EQ(found, expected);
  first = std::move(second);
  EXPECT_EQ(first.detect_file(image(0)), expected);
}

TEST_F(DetectorApi, APoolServesMoreThreadsThanItHasDetectors) {
  constexpr int kThreads = 8, kRounds = 10;
  Detector single = detector({.threads = 1});
  const auto expected = single.detect_files(images());
  DetectorPool pool(work_.path("x.cfg"), work_.path("x.weights"), 3,
                    {.device = "cpu", .thresholds = kThresholds, .threads = 1});
  EXPECT_EQ(pool.size(), 3);
  EXPECT_EQ(pool.detector().class_name(1), "class 1");
  std::atomic<int> wrong = 0, refused = 0;
  const auto work = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      const int i = (thread + round) % kTinyImages;
      wrong += pool.detect_file(image(i)) != expected[to_size(i)];
      refused += !refusal([&] { pool.detect({}); }).empty();
      const Image pixels = read_image(image(i));
      const ImageView view{pixels.pixels.data(), pixels.width, pixels.height};
      wrong += pool.detect(view) != expected[to_size(i)];
      wrong += pool.detect_batch({view}).front() != expected[to_size(i)];
      wrong += pool.detect_files({image(i)}).front() != expected[to_size(i)];
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(refused, kThreads * kRounds);  // and no detector is lost for it
  EXPECT_NE(refusal([&] { DetectorPool(work_.path("x.cfg"), work_.path("x.weights"), 0); }), "");
}

// Detectors are made and used at the same time.
TEST_F(DetectorApi, DetectorsOfSeveralThreadsDoNotMeet) {
  const DetectedObjects expected = detector({.threads = 1}).detect_file(image(2));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round)
        wrong += detector({.threads = 1}).detect_file(image(2)) != expected;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

// Simulated ones in a build without CUDA. Their work is done in a thread of each detector's own.
class DetectorOnGpu : public DetectorApi {
 protected:
  void SetUp() override {
    if (device_count(DeviceType::cuda) == 0) GTEST_SKIP() << why_no_cuda();
  }
  DetectorOptions options() const { return {.device = "cuda", .thresholds = kThresholds}; }
};

TEST_F(DetectorOnGpu, FindsWhatTheCpuFindsFromAnyThread) {
  const DetectedObjects on_cpu = detector({.exact = true}).detect_file(image(0));
  DetectorOptions o = options();
  o.device = "auto", o.exact = true;
  Detector d(work_.path("x.cfg"), work_.path("x.weights"), o);
  EXPECT_EQ(d.device(), "cuda:0");
  DetectedObjects found;
  std::thread([&] { found = d.detect_file(image(0)); }).join();
  EXPECT_EQ(d.detect_file(image(0)), found);  // the thread of the first pass has ended
  ASSERT_EQ(found.size(), on_cpu.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i].probability, on_cpu[i].probability, 1e-4f);
  EXPECT_NE(refusal([&] { d.detect({}); }), "");
}

TEST_F(DetectorOnGpu, APoolOfOneGpuServesManyThreads) {
  Detector single(work_.path("x.cfg"), work_.path("x.weights"), options());
  const auto expected = single.detect_files(images());
  DetectorPool pool(work_.path("x.cfg"), work_.path("x.weights"), 2, options());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = t; i < t + kTinyImages; ++i)
        wrong += pool.detect_file(image(i % kTinyImages)) != expected[to_size(i % kTinyImages)];
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(HomeThread, DoesAllWorkInOneThreadAndHandsItsErrorsOver) {
  api::HomeThread home;
  std::thread::id first, second;
  home.run([&] { first = std::this_thread::get_id(); });
  EXPECT_THROW(home.run([] { fail("an error"); }), Error);
  std::thread([&] { home.run([&] { second = std::this_thread::get_id(); }); }).join();
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::this_thread::get_id());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which keep what is freed
std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST_F(DetectorApi, MemoryDoesNotGrowOverTenThousandCalls) {
  Detector d = detector({.threads = 1});
  const Image pixels = read_image(image(0));
  const ImageView view{pixels.pixels.data(), pixels.width, pixels.height};
  const auto call = [&](int times) {
    for (int i = 0; i < times; ++i) {
      d.detect(view);
      if (i % 10 == 0) d.detect_file(image(i % kTinyImages));
      if (i % 100 == 0) refusal([&] { d.detect({}); });
    }
  };
  call(1000);
  const std::int64_t before = resident_bytes();
  call(10000);
  EXPECT_LT(resident_bytes() - before, 1 << 20);
}
#endif

}  // namespace
}  // namespace darknet::test
