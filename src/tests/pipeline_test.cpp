// The stages of a video with stand-ins for source, network and outputs.
#include "video/pipeline.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <atomic>

#include "core/error.h"
#include "video/pace.h"
#include "video/reconnect.h"

namespace darknet {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kLong = 20s;  // a bound for machines that are busy, never waited for

void rest(milliseconds t) { std::this_thread::sleep_for(t); }

TEST(BoundedQueue, GivesEverythingInOrderAndThenEnds) {
  BoundedQueue<int> queue(3);
  std::vector<int> got;
  std::thread reader([&] {
    while (const auto item = queue.pop()) got.push_back(*item);
  });
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(queue.push(i));
  queue.close();
  reader.join();
  ASSERT_EQ(got.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(got[to_size(i)], i);
  EXPECT_FALSE(queue.push(1));
  EXPECT_FALSE(queue.push_newest(1).has_value());
  EXPECT_TRUE(queue.finished());
}

TEST(BoundedQueue, AFullOneHoldsTheWriterUntilSomeoneTakesOrCloses) {
  BoundedQueue<int> queue(1);
  EXPECT_TRUE(queue.push(1));
  std::atomic<int> pushed{0};
  std::thread writer([&] {
    for (int i = 2; queue.push(i); ++i) ++pushed;
  });
  rest(20ms);
  EXPECT_EQ(pushed, 0);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);  // waits for it
  queue.close();
  writer.join();
}

TEST(BoundedQueue, TheNewestMakeRoomForThemselves) {
  BoundedQueue<int> queue(2);
  EXPECT_EQ(queue.push_newest(1), 0);
  EXPECT_EQ(queue.push_newest(2), 0);
  EXPECT_EQ(queue.push_newest(3), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop_within(1ms), std::nullopt);
}

TEST(Latest, ReadersSeeTheNewestOnlyAndEachAtItsPace) {
  Latest<int> latest;
  EXPECT_EQ(latest.newer_than(0, 1ms).value, nullptr);
  for (int i = 1; i <= 5; ++i) latest.put(std::make_shared<const int>(i));
  const auto reading = latest.newer_than(2, kLong);
  EXPECT_EQ(*reading.value, 5);
  EXPECT_EQ(reading.version, 5u);
  EXPECT_EQ(latest.newer_than(5, 1ms).value, nullptr);
  std::thread closer([&] { latest.close(); });
  EXPECT_EQ(latest.newer_than(5, kLong).value, nullptr);  // woken by the end
  closer.join();
}

// Frames whose width is their number.
struct Scene {
  std::int64_t frames = 40;
  milliseconds between{0};
  std::atomic<std::int64_t> next{0};
  bool read(Image& image) {
    if (next == frames) return false;
    rest(between);
    image = Image(++next, 1, 3);
    return true;
  }
};

PipelineStages stages_of(Scene& scene, std::vector<std::int64_t>& out, std::size_t detectors,
                         milliseconds work) {
  PipelineStages s;
  s.capture = [&](Image& image) { return scene.read(image); };
  s.prepare = [](const Image& image) { return PreparedImage{.width = image.width}; };
  for (std::size_t i = 0; i < detectors; ++i)
    s.detect.emplace_back([work, i](const Frame& f) {
      const PreparedImage& p = f.prepared;
      rest(work * static_cast<int>(1 + (p.width + static_cast<std::int64_t>(i)) % 3));  // uneven
      return std::vector<Detection>{{.class_id = static_cast<std::int32_t>(p.width)}};
    });
  s.draw = [](Frame& f) { f.line = std::to_string(f.number); };
  s.output = [&](const FinishedFrame& f) {
    EXPECT_EQ(f->number, f->image.width);
    EXPECT_EQ(f->detections.at(0).class_id, f->image.width);
    EXPECT_EQ(f->line, std::to_string(f->number));
    out.push_back(f->number);
  };
  return s;
}

TEST(Pipeline, EveryFrameOfAFileComesInOrderFromSeveralDetectors) {
  for (const std::size_t detectors : {1u, 3u}) {
    Scene scene;
    std::vector<std::int64_t> out;
    VideoStatistics statistics;
    Pipeline pipeline(stages_of(scene, out, detectors, 1ms), {.fps = 10}, statistics);
    pipeline.join();
    ASSERT_EQ(out.size(), 40u);
    for (std::size_t i = 0; i < out.size(); ++i)
      EXPECT_EQ(out[i], static_cast<std::int64_t>(i) + 1);
    const VideoSummary s = statistics.summary();
    EXPECT_EQ(s.frames, 40);
    EXPECT_EQ(s.dropped, 0);
    EXPECT_GT(s.latency, 0);
    EXPECT_GT(s.stages[to_size(Stage::detect)].wall, 1);
  }
}

TEST(Pipeline, ALiveSourceIsNeverHeldAndItsLostFramesAreCounted) {
  Scene scene{.frames = 60, .between = 1ms};
  std::vector<std::int64_t> out;
  VideoStatistics statistics;
  Pipeline pipeline(stages_of(scene, out, 1, 10ms), {.live = true}, statistics);
  pipeline.join();
  const VideoSummary s = statistics.summary();
  EXPECT_GT(s.dropped, 0);
  EXPECT_EQ(s.frames + s.dropped, 60);
  EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
  EXPECT_EQ(out.back(), 60);  // the newest is never the one that goes
}

TEST(Pipeline, TheTimeOfAFramesOfAFileIsItsPlaceInTheFile) {
  Scene scene{.frames = 5};
  std::vector<std::int64_t> out;
  std::vector<double> seconds;
  auto stages = stages_of(scene, out, 1, 0ms);
  stages.output = [&](const FinishedFrame& f) { seconds.push_back(f->seconds); };
  VideoStatistics statistics;
  Pipeline(std::move(stages), {.fps = 4}, statistics).join();
  EXPECT_EQ(seconds, (std::vector<double>{0, .25, .5, .75, 1}));
}

TEST(Pipeline, AnErrorOfAnyStageEndsItAndIsReported) {
  for (int stage = 0; stage < 5; ++stage) {
    Scene scene{.frames = 1 << 20};
    std::vector<std::int64_t> out;
    auto stages = stages_of(scene, out, 2, 0ms);
    const auto fail_in = [&, stage](int here) {
      if (here == stage && scene.next > 10) fail("stage ", here);
    };
    const PipelineStages sound = stages;
    stages.capture = [&, sound](Image& i) { return fail_in(0), sound.capture(i); };
    stages.prepare = [&, sound](const Image& i) { return fail_in(1), sound.prepare(i); };
    stages.detect[1] = [&, sound](const Frame& f) { return fail_in(2), sound.detect[1](f); };
    stages.draw = [&, sound](Frame& f) { fail_in(3), sound.draw(f); };
    stages.output = [&, sound](const FinishedFrame& f) { fail_in(4), sound.output(f); };
    VideoStatistics statistics;
    Pipeline pipeline(std::move(stages), {}, statistics);
    try {
      pipeline.join();
      ADD_FAILURE() << "no error from stage " << stage;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()), cat("stage ", stage));
    }
  }
}

TEST(Pipeline, StopsWhenAsked) {
  Scene scene{.frames = 1 << 30};
  std::vector<std::int64_t> out;
  VideoStatistics statistics;
  Pipeline pipeline(stages_of(scene, out, 2, 0ms), {}, statistics);
  while (statistics.summary().frames < 5) rest(1ms);
  pipeline.stop();
  EXPECT_TRUE(pipeline.finished(kLong));
  pipeline.join();
  EXPECT_LE(statistics.summary().frames, scene.next);
}

TEST(Pipeline, AWindowThatShowsNothingMoreHoldsAFileAndNoCamera) {
  for (const bool live : {false, true}) {
    Scene scene{.frames = 1 << 30, .between = 1ms};
    std::vector<std::int64_t> out;
    VideoStatistics statistics;
    Pipeline pipeline(stages_of(scene, out, 1, 0ms), {.live = live, .shown = true}, statistics);
    ASSERT_TRUE(pipeline.next_shown(kLong).has_value());
    if (live) {
      while (statistics.summary().frames < 100) rest(1ms);
    } else {
      rest(60ms);
      EXPECT_LT(statistics.summary().frames, 20);
    }
  }
}

TEST(SteadyPace, TheRecordingIsAsLongAsWhatItShows) {
  SteadyPace pace(10);
  EXPECT_EQ(pace.copies(0), 1);
  EXPECT_EQ(pace.copies(.02), 0);  // too early for another
  EXPECT_EQ(pace.copies(.1), 1);
  EXPECT_EQ(pace.copies(.4), 3);  // two were lost before it
  EXPECT_EQ(pace.copies(60), 1);  // an outage is cut out
  EXPECT_EQ(pace.copies(60.1), 1);
  EXPECT_EQ(pace.copies(60.3), 2);
}

// A source that gives some frames each time it is opened, and cannot be opened for a while.
struct Camera {
  int opened = 0, down = 0, frames = 3;
  std::unique_ptr<VideoSource> open() {
    if (++opened > 1 && down-- > 0) fail("down");
    struct Source : VideoSource {
      int left = 0;
      VideoFormat format() const override { return {.fps = 5}; }
      bool read(Image& image) override {
        image = Image(2, 2, 3);
        return left-- > 0;
      }
    };
    auto source = std::make_unique<Source>();
    source->left = frames;
    return source;
  }
};

TEST(WaitForSource, ItIsTriedUntilItIsThere) {
  int tries = 0;
  Camera camera;
  const auto open = [&]() -> std::unique_ptr<VideoSource> {
    if (++tries < 3) fail("not there");
    return camera.open();
  };
  const auto wait = [&](double patience, bool stopped) {
    tries = 0;
    return wait_for_source(
        open, {.name = "cam", .patience = patience, .stopped = [=] { return stopped; }});
  };
  EXPECT_NE(wait(60, false), nullptr);
  EXPECT_EQ(tries, 3);
  EXPECT_THROW(wait(0, false), Error);
  EXPECT_EQ(tries, 1);
  EXPECT_THROW(wait(.1, false), Error);
  EXPECT_EQ(tries, 2);  // at once, and at the end of its time
  EXPECT_EQ(wait(60, true), nullptr);
}

TEST(WaitForSource, WhatNoWaitingChangesFailsAtOnce) {
  int tries = 0;
  const auto open = [&]() -> std::unique_ptr<VideoSource> {
    ++tries;
    throw UnusableSource("never");
  };
  EXPECT_THROW(
      wait_for_source(open, {.name = "cam", .patience = 1e6, .stopped = [] { return false; }}),
      UnusableSource);
  EXPECT_EQ(tries, 1);
}

TEST(Reconnect, ALostSourceIsOpenedAgain) {
  Camera camera{.down = 1};
  const auto source =
      reconnecting([&] { return camera.open(); },
                   {.name = "cam", .patience = 60, .stopped = [] { return false; }});
  EXPECT_TRUE(source->format().live);
  EXPECT_EQ(source->format().fps, 5);
  Image image;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(source->read(image));
  EXPECT_EQ(camera.opened, 3);  // once, in vain, again
}

TEST(Reconnect, PatienceEndsWithAnError) {
  for (const double patience : {0., .1}) {
    Camera camera{.down = 1 << 20};
    const auto source =
        reconnecting([&] { return camera.open(); },
                     {.name = "cam", .patience = patience, .stopped = [] { return false; }});
    Image image;
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(source->read(image));
    EXPECT_THROW(source->read(image), Error) << patience;
  }
}

TEST(Reconnect, TheWaitingCanBeStopped) {
  Camera camera{.down = 1 << 20, .frames = 0};
  std::atomic<bool> stop{false};
  const auto source =
      reconnecting([&] { return camera.open(); },
                   {.name = "cam", .patience = 1e6, .stopped = [&] { return stop.load(); }});
  std::thread stopper([&] {
    rest(20ms);
    stop = true;
  });
  Image image;
  EXPECT_FALSE(source->read(image));
  stopper.join();
}

}  // namespace
}  // namespace darknet
