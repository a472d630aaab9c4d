// What is recorded and served of a video, and video files in and out.
#include "image/video.h"
#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "core/json.h"
#include "dataset/moving_scene.h"
#include "frame_samples.h"
#include "temporary_folder.h"
#include "video/recorder.h"
#include "video/scene_source.h"

namespace darknet::testing_files {
namespace {
using nlohmann::json;

TEST(FrameJson, IsAlexeyABsWithTimeAndIdentities) {
  const json j = parse_json(frame_of(12)->line);
  EXPECT_EQ(j["frame_id"], 12);
  EXPECT_EQ(j["seconds"], .25);
  ASSERT_EQ(j["objects"].size(), 2u);
  EXPECT_EQ(j["objects"][0]["name"], "person");
  EXPECT_EQ(j["objects"][0]["track_id"], 7);
  EXPECT_FLOAT_EQ(j["objects"][0]["relative_coordinates"]["center_y"].get<float>(), .4f);
  EXPECT_FALSE(j["objects"][1].contains("track_id"));
  const json state = parse_json(frame_of(12)->state);
  EXPECT_EQ(state["counts"]["person"], 1);
  EXPECT_EQ(state["seen"]["person"], 3);
}

class RecorderTest : public InFolder {};

TEST_F(RecorderTest, LinesAreWholeAfterEachFrame) {
  const auto path = file("x.jsonl", "{\"frame_id\": 1}\n");
  Recorder recorder(path, RecordFormat::lines);
  EXPECT_EQ(read_file(path, 1 << 20), "{\"frame_id\": 1}\n");  // until there is another record
  recorder.add(frame_of(1)->line);
  recorder.add(frame_of(2)->line);
  EXPECT_EQ(read_file(path, 1 << 20), frame_of(1)->line + "\n" + frame_of(2)->line + "\n");
}

TEST_F(RecorderTest, AnArrayIsWholeAfterEachFrame) {
  const auto path = file("x.json", "[{\"frame_id\": 1, \"objects\": \"longer than the array\"}]\n");
  Recorder recorder(path, RecordFormat::array);
  EXPECT_EQ(parse_json(read_file(path, 1 << 20))[0]["objects"], "longer than the array");
  for (std::size_t frames = 1; frames < 5; ++frames) {
    recorder.add(frame_of(static_cast<std::int64_t>(frames))->line);
    const json j = parse_json(read_file(path, 1 << 20));
    ASSERT_EQ(j.size(), frames);
    for (std::size_t i = 0; i < frames; ++i) EXPECT_EQ(j[i]["frame_id"], i + 1);
  }
  EXPECT_NE(error_of([&] {
              Recorder(folder_ / "missing" / "x.json", RecordFormat::lines);
            }).find("missing"),
            std::string::npos);
}

// A full disk, as the limit on a file's size makes it.
class FullDiskTest : public RecorderTest {
 protected:
  // What an Error of `f` says while no file may grow beyond so many bytes.
  template <class F>
  static std::string error_within(::rlim_t bytes, const F& f) {
    ::rlimit before{};
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit little{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &little);
    std::string said = error_of(f);
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    return said;
  }
};

TEST_F(FullDiskTest, WhatCannotBeWrittenLeavesTheArrayAsItWas) {
  JsonArrayFile array(folder_ / "x.json");
  array.add("1");
  const std::string said =
      error_within(20, [&] { array.add("\"" + std::string(100, 'x') + "\""); });
  EXPECT_NE(said.find("x.json: cannot write: "), std::string::npos) << said;
  EXPECT_EQ(parse_json(read_file(folder_ / "x.json", 1 << 20)), parse_json("[1]"));
}

TEST_F(FullDiskTest, WhatCannotBeWrittenLeavesWholeLines) {
  Recorder recorder(folder_ / "x.jsonl", RecordFormat::lines);
  for (const char* line : {"1", "2"}) recorder.add(line);
  const std::string said = error_within(20, [&] { recorder.add(std::string(100, '3')); });
  EXPECT_NE(said.find("x.jsonl: cannot write this file: "), std::string::npos) << said;
  EXPECT_EQ(read_file(folder_ / "x.jsonl", 1 << 20), "1\n2\n");
}

TEST_F(FullDiskTest, WithoutAFirstRecordTheEarlierFileStays) {
  for (const char* name : {"x.json", "x.jsonl"}) {
    const auto path = file(name, "[{\"frame_id\": 1}]\n");
    const std::string said =
        error_within(20, [&] { Recorder(path, record_format_of(path)).add(frame_of(1)->line); });
    EXPECT_NE(said.find(cat(name, ": cannot write this file: ")), std::string::npos) << said;
    EXPECT_EQ(read_file(path, 1 << 20), "[{\"frame_id\": 1}]\n");
  }
}

TEST(RecordFormat, TheNameDecides) {
  EXPECT_EQ(record_format_of("a/x.json"), RecordFormat::array);
  for (const char* name : {"x.jsonl", "x.ndjson", "x", "x.json.txt"})
    EXPECT_EQ(record_format_of(name), RecordFormat::lines) << name;
}

TEST(SceneSource, WithALengthIsAFileAndWithoutComesLiveAtItsRate) {
  const auto file = open_scene_source("synth:64x80@12.5?seed=3&frames=5&classes=2&objects=3");
  EXPECT_EQ(file->format().width, 64);
  EXPECT_EQ(file->format().height, 80);
  EXPECT_EQ(file->format().frames, 5);
  EXPECT_EQ(file->format().fps, 12.5);
  EXPECT_FALSE(file->format().live);
  SceneSettings same{.width = 64, .height = 80, .classes = 2, .max_objects = 3, .seed = 3};
  const MovingScene scene(same, 12.5);
  Image image;
  for (int k = 0; k < 5; ++k) {
    ASSERT_TRUE(file->read(image));
    EXPECT_EQ(image.pixels, scene.frame(k).pixels) << k;
  }
  EXPECT_FALSE(file->read(image));
  const auto live = open_scene_source("synth:64x64@50");
  EXPECT_TRUE(live->format().live);
  const auto start = std::chrono::steady_clock::now();
  for (int k = 0; k <= 10; ++k) ASSERT_TRUE(live->read(image));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(190));
  EXPECT_EQ(open_scene_source("synth:")->format().width, SceneSettings().width);
}

TEST(SceneSource, WhatCannotBeReadIsReportedWithItsPlace) {
  for (const auto& [source, place] : {std::pair{"synth:640", "\"\""},
                                      {"synth:640x", "\"\""},
                                      {"synth:x480", "\"x480\""},
                                      {"synth:64x64@0", "\"0\""},
                                      {"synth:@nan", "\"nan\""},
                                      {"synth:?speed=2", "\"speed=2\""},
                                      {"synth:?seed=-1", "\"-1\""},
                                      {"synth:?seed=1&", "\"\""},
                                      {"synth:64x64 ", "\" \""},
                                      {"synth:99999x64", "\"99999x64\""},
                                      {"synth:?frames=0", "\"0\""}}) {
    const std::string said = error_of([text = source] { open_scene_source(text); });
    EXPECT_NE(said.find(cat(source, ": cannot be read from ", place, " on")), std::string::npos)
        << source << ": " << said;
  }
  EXPECT_NE(error_of([] { open_scene_source("synth:8x8"); }).find("16 to 8192"), std::string::npos);
  EXPECT_NE(error_of([] { open_scene_source("synth:?classes=11"); }).find("1 to 10"),
            std::string::npos);
}

#if defined(DARKNET_OPENCV)
class VideoFile : public InFolder {
 protected:
  void write(const std::filesystem::path& name, int frames, double fps) const {
    const auto writer = create_video(folder_ / name, {.fps = fps, .width = 64, .height = 48});
    for (int i = 0; i < frames; ++i) {
      Image image(64, 48, 3);
      std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(8 * i));
      writer->write(image);
    }
  }
};

TEST_F(VideoFile, WhatIsWrittenIsReadBack) {
  for (const char* name : {"x.mp4", "x.avi", "x.mkv"}) {
    write(name, 20, 12.5);
    const auto source = open_video_file(folder_ / name);
    EXPECT_NEAR(source->format().fps, 12.5, .01) << name;
    EXPECT_EQ(source->format().width, 64);
    EXPECT_FALSE(source->format().live);
    Image image;
    int frames = 0;
    for (; source->read(image); ++frames) EXPECT_NEAR(*image.at(32, 24), 8 * frames, 6) << name;
    EXPECT_EQ(frames, 20) << name;
  }
}

TEST_F(VideoFile, AFrameOfAnotherSizeIsFittedWithBars) {
  {
    const auto writer = create_video(folder_ / "x.mp4", {.fps = 5, .width = 64, .height = 48});
    Image wide(128, 48, 3);
    std::fill(wide.pixels.begin(), wide.pixels.end(), std::uint8_t{250});
    for (int i = 0; i < 3; ++i) writer->write(wide);
  }
  Image image;
  ASSERT_TRUE(open_video_file(folder_ / "x.mp4")->read(image));
  EXPECT_GT(*image.at(32, 24), 200);
  EXPECT_LT(*image.at(32, 3), 60);
  EXPECT_LT(*image.at(32, 45), 60);
}

TEST_F(VideoFile, WhatCannotBeOpenedIsReportedByName) {
  const auto text = file("text.mp4", "this is no video");
  EXPECT_NE(error_of([&] { open_video_file(text); }).find("text.mp4: this is not a video"),
            std::string::npos);
  EXPECT_NE(error_of([&] { open_video_file(folder_ / "no.mp4"); }).find("No such file"),
            std::string::npos);
  EXPECT_NE(error_of([&] { open_camera(987, {}); }).find("camera 987"), std::string::npos);
  EXPECT_NE(error_of([&] { open_stream("http://127.0.0.1:1/x"); }).find("cannot be opened"),
            std::string::npos);
  const WriterSettings size{.width = 64, .height = 48};
  EXPECT_NE(error_of([&] { create_video(folder_ / "x.txt", size); }).find(".mp4"),
            std::string::npos);
  EXPECT_NE(error_of([&] { create_video(folder_ / "no" / "x.mp4", size); }).find("folder"),
            std::string::npos);
}
#endif

}  // namespace
}  // namespace darknet::testing_files
