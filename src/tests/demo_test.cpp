// darknet detector demo, run as a user would on small videos made here.
#include <csignal>
#include <cstdlib>
#include <map>
#include <numeric>
#include <vector>

#include "cli_harness.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "image/video.h"
#include "image_samples.h"
#include "paths.h"

namespace darknet::test {
namespace {
using nlohmann::json;

constexpr int kFrames = 30;

class DemoTest : public CliTest {
 protected:
  DemoTest() { put_tiny_weights(work_, "x.weights"); }
  CommandResult demo(std::vector<std::string> more, const CommandOptions& o = {}) const {
    more.insert(more.begin(), {"detector", "demo", "x.data", "x.cfg", "x.weights"});
    more.insert(more.end(), {"-dont_show", "-thresh", "0.1"});
    return work_.darknet(more, o);
  }
  std::vector<json> lines(const std::string& name) const {
    std::vector<json> out;
    std::istringstream in(work_.get(name));
    for (std::string line; std::getline(in, line);) out.push_back(parse_json(line));
    return out;
  }
};

TEST_F(DemoTest, ImagesAreFramesWithoutOpenCVToo) {
  const CommandResult ran = demo({"images", "-json_file_output", "x.jsonl", "-prefix", "still"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  const auto frames = lines("x.jsonl");
  ASSERT_EQ(frames.size(), to_size(kTinyImages));
  for (int i = 0; i < kTinyImages; ++i) {
    EXPECT_EQ(frames[to_size(i)]["frame_id"], i + 1);
    EXPECT_TRUE(work_.has(cat("still_0000000", i + 1, ".jpg"))) << i;
  }
  EXPECT_NE(ran.out.find("8 frames in"), std::string::npos) << ran.all();
}

// The network gets the values of the file, not the image that is looked at.
TEST_F(DemoTest, ImagesOfMoreThanEightBitsKeepTheirValues) {
  std::vector<std::uint16_t> values;
  for (const std::uint8_t value : read_image(work_.path("images/0.png")).pixels)
    values.push_back(static_cast<std::uint16_t>(16 * value));
  work_.put("0.npy",
            testing_images::npy("<u2", "(64, 64, 3)", testing_images::bytes_of_values(values)));
  const auto found = [&](const char* source) -> json {
    const CommandResult ran =
        demo({source, "-nogpu", "-json_file_output", "x.jsonl", "-prefix", "still"});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return lines("x.jsonl").at(0)["objects"];
  };
  const json expected = found("images/0.png");
  work_.put("x.cfg", replaced(kTinyCfg, "channels=3", "channels=3\ninput_max=4080"));
  const json objects = found("0.npy");
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(objects.size(), expected.size());
  for (std::size_t i = 0; i < objects.size(); ++i)
    EXPECT_NEAR(objects[i]["confidence"].get<double>(), expected[i]["confidence"].get<double>(),
                1e-4);
}

TEST_F(DemoTest, AFolderWithoutImagesNamesNoFlagOfOtherCommands) {
  std::filesystem::create_directories(work_.path("none"));
  const CommandResult ran = demo({"none"});
  expect_refused(ran, "no images in this folder");
  EXPECT_FALSE(said(ran, "-recursive")) << ran.all();
}

TEST_F(DemoTest, ASignalSpeaksOfFrames) {
  const CommandResult ran = demo({"synth:64x64?frames=100000", "-ext_output"},
                                 {.signal_when = "frame 3", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_TRUE(said(ran, "stopping after the frames in progress; ")) << ran.all();
}

// One that is missing, one that is none, and one cut short at the end.
TEST_F(DemoTest, ImagesThatCannotBeReadAreSkippedAndCounted) {
  work_.put("x.jsonl", "");
  work_.put("text.png", "this is no image");
  work_.put("cut.png", work_.get("images/3.png").substr(0, 60));
  work_.put("mixed.txt",
            "images/0.png\n\nnone.png\nimages/1.png\ntext.png\nimages/2.png\ncut.png\n");
  const CommandResult ran = demo({"mixed.txt", "-json_file_output", "x.jsonl", "-prefix", "still"});
  expect_refused(ran, "mixed.txt:3: no such image: none.png; this image is skipped");
  for (const char* name : {"text.png: ", "cut.png: "})
    EXPECT_NE(ran.err.find(name), std::string::npos) << ran.all();
  EXPECT_EQ(lines("x.jsonl").size(), 3u);
  EXPECT_TRUE(work_.has("still_00000003.jpg"));
  EXPECT_NE(ran.out.find("3 frames in"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("3 of 6 images could not be read"), std::string::npos) << ran.all();
  EXPECT_EQ(ran.err.find("ended after"), std::string::npos) << ran.all();
  expect_refused(demo({"none.png", "none.png"}), "none.png: no frame of it can be read");
  expect_refused(demo({"text.png"}), "text.png: ");
}

TEST_F(DemoTest, SeveralDetectorsFindTheSameAsOne) {
  std::string first;
  for (const char* detectors : {"1", "2", "4"}) {
    const CommandResult ran =
        demo({"images", "-json_file_output", "x.jsonl", "-detectors", detectors});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    if (first.empty()) first = work_.get("x.jsonl");
    EXPECT_EQ(work_.get("x.jsonl"), first) << detectors;
  }
}

TEST_F(DemoTest, TheNameReportsWhatTheJsonIs) {
  EXPECT_EQ(demo({"images", "-json_file_output", "x.json"}).exit_code, 0);
  EXPECT_EQ(parse_json(work_.get("x.json")).size(), to_size(kTinyImages));
  EXPECT_EQ(demo({"images", "-json_file_output", "x.txt", "-json_array"}).exit_code, 0);
  EXPECT_EQ(parse_json(work_.get("x.txt")).size(), to_size(kTinyImages));
  EXPECT_EQ(demo({"images", "-json_file_output", "x.ndjson"}).exit_code, 0);
  EXPECT_EQ(lines("x.ndjson").size(), to_size(kTinyImages));
}

TEST_F(DemoTest, AMovingSceneIsASource) {
  CommandResult ran = demo({"synth:64x64?frames=12", "-json_file_output", "x.json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(parse_json(work_.get("x.json")).size(), 12u);
  ran = demo({"synth:64x64@100", "-time_limit_sec", "1", "-mjpeg_port", "0"});  // without an end
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("images: http://127.0.0.1:"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find(" frames in"), std::string::npos) << ran.all();
  expect_refused(demo({"synth:64"}), "expected synth:[WIDTHxHEIGHT]", 2);
}

// A kill at any time, of which some come between two frames and some in the middle of one.
// A threshold that few boxes pass: a kill may cut a write that spans several pages.
TEST_F(DemoTest, AfterAKillTheJsonArrayIsWhole) {
  for (const char* frame : {"frame 1:", "frame 20:", "frame 150:"}) {
    const CommandResult ran = work_.darknet(
        {"detector", "demo", "x.data", "x.cfg", "x.weights", "synth:64x64?frames=100000",
         "-json_file_output", "x.json", "-ext_output", "-dont_show", "-thresh", ".99"},
        {.signal_when = frame});  // short records: the kernel may cut one of several pages
    EXPECT_EQ(ran.signal, SIGKILL) << ran.all();
    EXPECT_TRUE(parse_json(work_.get("x.json")).is_array()) << frame;
  }
}

// Darknet: "dont_show" at the beginning of a class's name hides it.
TEST_F(DemoTest, HiddenClassesAreNeitherDrawnNorReported) {
  const auto names_in = [&](const std::string& file) {
    std::map<std::string, int> counts;
    for (const json& frame : parse_json(work_.get(file)))
      for (const json& object : frame["objects"]) ++counts[object["name"].get<std::string>()];
    return counts;
  };
  const std::vector<std::string> flags{"-thresh", "0.01",  "-json_file_output", "x.json",
                                       "-prefix", "still", "-ext_output"};
  const auto run = [&] {
    std::vector<std::string> all{"detector",  "demo",   "x.data",    "x.cfg",
                                 "x.weights", "images", "-dont_show"};
    all.insert(all.end(), flags.begin(), flags.end());
    return work_.darknet(all);
  };
  EXPECT_EQ(run().exit_code, 0);
  auto before = names_in("x.json");
  const auto images_drawn = [&] {
    std::map<std::string, std::string> drawn = work_.tree(".");
    std::erase_if(drawn, [](const auto& file) { return !file.first.ends_with(".jpg"); });
    return drawn;
  };
  const auto stills = images_drawn();
  ASSERT_EQ(stills.size(), to_size(kTinyImages));
  ASSERT_GT(before["green"], 0);
  work_.put("x.names", "red\ndont_show green\nblue\n");
  const CommandResult ran = run();
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(ran.all().find("dont_show"), std::string::npos) << ran.all();
  before.erase("green");
  EXPECT_EQ(names_in("x.json"), before);
  EXPECT_TRUE(images_drawn() != stills);
}

// As under `ulimit -u`: the system gives the first so many threads and then none.
TEST_F(DemoTest, WhereThreadsCannotBeStartedASentenceSaysSo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP()
      << "NOT TESTED: the library that refuses threads cannot be loaded before a sanitizer";
#endif
  const auto library = program().parent_path() / "src/tests/libfew_threads.so";
  ASSERT_TRUE(std::filesystem::exists(library)) << library;
  int refused = 0, served = 0;
  ::setenv("LD_PRELOAD", library.c_str(), 1);
  // OpenMP and OpenCV start a thread for each core: the last one is enough for any machine.
  std::vector<int> allowed(17);
  std::iota(allowed.begin(), allowed.end(), 0);
  allowed.push_back(100'000);
  for (const int max : allowed) {
    ::setenv("FEW_THREADS", std::to_string(max).c_str(), 1);
    const CommandResult ran = demo({"synth:64x64?frames=20", "-mjpeg_port", "0", "-json_port", "0",
                                    "-json_file_output", "x.json", "-detectors", "2"},
                                   {.timeout = 30});
    EXPECT_FALSE(ran.timed_out) << max << ' ' << ran.all();
    // OpenMP and Pango make threads of their own, and end the program where one is refused: demo
    // asks for them first, but another thread may take the last one in between.
    const auto ended_by = [&](const char* text) { return ran.err.find(text) != std::string::npos; };
    if (ended_by("libgomp: Thread creation failed") || ended_by("GLib-ERROR")) continue;
    EXPECT_EQ(ran.signal, 0) << max << ' ' << ran.all();
    if (ran.exit_code == 0) {
      ++served;
      continue;
    }
    EXPECT_EQ(ran.exit_code, 1) << max << ' ' << ran.all();
    expect_refused(ran, "cannot start a thread ");
    ++refused;
  }
  ::unsetenv("LD_PRELOAD");
  ::unsetenv("FEW_THREADS");
  EXPECT_GE(refused, 5);
  EXPECT_GE(served, 1);
}

TEST_F(DemoTest, FlagsAsDarknetUsersTypeThem) {
  const CommandResult ran = demo({"train.txt",   "-i",          "-1",
                                  "-c",          "0",           "-json_file_output",
                                  "x.json",      "-json_array", "-ext_output",
                                  "-avgframes",  "3",           "-mjpeg_port",
                                  "0",           "-json_port",  "0",
                                  "-hier",       ".5",          "-s",
                                  "0",           "-letter_box", "-dontdraw_bbox",
                                  "-iou_thresh", ".3"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find("-iou_thresh has no effect without -track"), std::string::npos);
  EXPECT_EQ(parse_json(work_.get("x.json")).size(), to_size(kTinyImages));
  EXPECT_NE(ran.out.find("images: http://127.0.0.1:"), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find("frame 8:"), std::string::npos) << ran.all();
}

TEST_F(DemoTest, EveryNthFrameAloneIsWorkedOn) {
  const CommandResult all = demo({"images", "-json_file_output", "all.jsonl"});
  const CommandResult some = demo({"images", "-s", "2", "-json_file_output", "some.jsonl"});
  EXPECT_EQ(some.exit_code, 0) << all.all() << some.all();
  const auto every = lines("all.jsonl"), third = lines("some.jsonl");
  ASSERT_EQ(every.size(), 8u);
  ASSERT_EQ(third.size(), 3u);
  for (std::size_t i = 0; i < third.size(); ++i) {
    EXPECT_EQ(third[i]["objects"], every[3 * i]["objects"]) << i;
    EXPECT_NEAR(third[i]["seconds"].get<double>(), every[3 * i]["seconds"].get<double>(), 1e-6)
        << i;
  }
}

TEST_F(DemoTest, ABenchmarkHasNoOutputs) {
  const CommandResult fast = demo({"images", "-benchmark", "-dont_show", "-dontdraw_bbox"});
  EXPECT_EQ(fast.exit_code, 0) << fast.all();
  EXPECT_EQ(fast.out.find("-> "), std::string::npos) << fast.all();
  for (const std::vector<std::string>& output :
       std::vector<std::vector<std::string>>{{"-out_filename", "x.mkv"},
                                             {"-prefix", "x"},
                                             {"-json_file_output", "x.json"},
                                             {"-mjpeg_port", "0"},
                                             {"-json_port", "0"},
                                             {"-ext_output"}}) {
    std::vector<std::string> words{"images", "-benchmark"};
    words.insert(words.end(), output.begin(), output.end());
    const CommandResult refused = demo(words);
    expect_refused(refused, " cannot be given together", 2);
    EXPECT_NE(refused.err.find(output.front()), std::string::npos) << refused.all();
  }
}

TEST_F(DemoTest, WrongUseIsReported) {
  for (const char* codec : {"-", "mp4", "mp4v2"})
    expect_refused(demo({"images", "-out_filename", "x.mkv", "-codec", codec}),
                   cat("-codec: '", codec, "' is not four letters"), 2);
  expect_refused(demo({"images", "-mjpeg_port", "70000"}), "mjpeg_port", 2);
  expect_refused(demo({"images", "-avgframes", "0"}), "avgframes", 2);
  expect_refused(demo({"images", "-mjpegport2", "1"}), "unknown flag", 2);
  expect_refused(demo({"images", "-json_file_output", "no/such/x.json"}), "no/such");
  expect_refused(demo({"images", "-bind", "192.0.2.1", "-json_port", "0"}), "192.0.2.1");
  for (const char* none : {"foo bar", "999.1.1.1"})
    expect_refused(demo({"images", "-bind", none, "-json_port", "0"}),
                   cat("-bind ", none, ": this is neither an address nor the name of a machine"));
  expect_refused(demo({"images", "-bind", "127.0.0.1"}), "-bind needs -mjpeg_port or -json_port",
                 2);
  expect_refused(demo({"images", "-mjpeg_port", "8090", "-json_port", "8090"}),
                 "-mjpeg_port and -json_port are both 8090: give one of them another port", 2);
}

TEST_F(DemoTest, FlagsOfAnotherKindOfSourceAreReported) {
  const char *scene = "synth:64x64?frames=1", *video = "x.mp4", *stream = "rtsp://127.0.0.1:1/x";
  const auto refused = [&](const char* source, const char* flag, const char* what) {
    expect_refused(demo({source, flag, "20"}),
                   cat(flag, " is for ", what, ", and ", source, " is none; leave it out"), 2);
  };
  for (const char* source : {"images", scene, video, stream}) {
    refused(source, "-width", "a camera");
    refused(source, "-height", "a camera");
  }
  EXPECT_NE(demo({scene, "-fps", "20"}).err.find("-fps has no effect: the source is synth:"),
            std::string::npos);
  for (const char* source : {"images", scene, video})
    for (const char* flag : {"-reconnect", "-wait"}) refused(source, flag, "a camera or a stream");
  const CommandResult ran = demo({"images", "-fps", "20", "-c", "0"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.err.find("-camera has no effect: the source is images"), std::string::npos)
      << ran.all();
}

#if defined(DARKNET_OPENCV)
class DemoVideoTest : public DemoTest {
 protected:
  void put_video(const std::string& name, int frames = kFrames) const {
    const auto writer = create_video(work_.path(name), {.fps = 12.5, .width = 64, .height = 64});
    std::vector<Image> images;
    for (int i = 0; i < kTinyImages; ++i)
      images.push_back(read_image(work_.path(cat("images/", i, ".png"))));
    for (int i = 0; i < frames; ++i) writer->write(images[to_size(i % kTinyImages)]);
  }
  int frames_in(const std::string& name) const {
    const auto source = open_video_file(work_.path(name));
    Image image;
    int frames = 0;
    while (source->read(image)) ++frames;
    return frames;
  }
};

TEST_F(DemoVideoTest, TheAnnotatedVideoHasTheSourcesFramesAndRate) {
  put_video("in.avi");
  const CommandResult ran =
      demo({"in.avi", "-out_filename", "out.mp4", "-json_file_output", "x.jsonl"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(frames_in("out.mp4"), kFrames);
  EXPECT_NEAR(open_video_file(work_.path("out.mp4"))->format().fps, 12.5, .01);
  EXPECT_EQ(lines("x.jsonl").size(), to_size(kFrames));
}

TEST_F(DemoVideoTest, AfterAKillLinesAreValidAndMatroskaPlays) {
  {
    const auto writer =
        create_video(work_.path("in.avi"), {.fps = 25, .width = 256, .height = 256});
    Image noise(256, 256, 3);  // fills the writer's buffers soon
    std::uint32_t state = 1;
    for (int i = 0; i < 1000; ++i) {
      for (std::uint8_t& p : noise.pixels)
        p = static_cast<std::uint8_t>((state = 1664525 * state + 1013904223) >> 24);
      writer->write(noise);
    }
  }
  const CommandResult ran = demo({"in.avi", "-out_filename", "out.mkv", "-json_file_output",
                                  "x.jsonl", "-ext_output", "-dontdraw_bbox"},
                                 {.signal_when = "frame 300:"});
  EXPECT_EQ(ran.signal, SIGKILL) << ran.all();
  EXPECT_GE(lines("x.jsonl").size(), 299u);  // each was parsed
  EXPECT_GT(frames_in("out.mkv"), 100);      // without those in the writer's buffers
}

TEST_F(DemoVideoTest, CtrlCAndAHangupCloseAllFiles) {
  put_video("in.avi", 5000);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const CommandResult ran = demo({"in.avi", "-out_filename", "out.mp4", "-json_file_output",
                                    "x.json", "-json_array", "-ext_output"},
                                   {.signal_when = "frame 50:", .signal = signal});
    EXPECT_EQ(ran.exit_code, 128 + signal) << ran.all();
    const json frames = parse_json(work_.get("x.json"));
    EXPECT_GE(frames.size(), 50u);
    EXPECT_LT(frames.size(), 5000u);
    EXPECT_EQ(frames_in("out.mp4"), static_cast<int>(frames.size()));
  }
}

TEST_F(DemoVideoTest, TrackingNumbersAndCountsObjects) {
  std::string list;
  for (int i = 0; i < 10; ++i) list += work_.path("images/0.png").string() + "\n";
  work_.put("still.txt", list);
  const CommandResult ran = demo({"still.txt", "-json_file_output", "x.json", "-track"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  const json frames = parse_json(work_.get("x.json"));
  ASSERT_EQ(frames.size(), 10u);
  ASSERT_FALSE(frames[0]["objects"].empty());
  for (std::size_t i = 0; i < 10; ++i)
    for (const json& object : frames[i]["objects"])
      EXPECT_EQ(object.contains("track_id"), i >= 4) << i << ' ' << object;
}

TEST_F(DemoVideoTest, WhatCannotBeReadEndsInOneSentence) {
  work_.put("text.mp4", "no video");
  for (const auto& [source, said] : {std::pair{"text.mp4", "text.mp4: this is not a video"},
                                     {"missing.mp4", "missing.mp4: cannot read this file"},
                                     {"http://127.0.0.1:1/x", "this stream cannot be opened"}}) {
    const CommandResult ran = demo({source, "-nogpu"});
    expect_refused(ran, said);
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.all();
  }
  const CommandResult camera = demo({"-c", "987", "-nogpu"});
  expect_refused(camera, "camera 987: there is no /dev/video987; ");
  EXPECT_EQ(std::count(camera.err.begin(), camera.err.end(), '\n'), 1) << camera.all();
  const CommandResult device = demo({"/dev/video987", "-nogpu"});
  expect_refused(device, "camera 987: there is no /dev/video987; ");
  EXPECT_NE(device.err.find("-wait 60 waits for it"), std::string::npos) << device.all();
  for (const char* file : {"/dev/nothing", "/dev/shm/no such clip.mp4"})
    expect_refused(demo({file, "-nogpu"}), cat(file, ": cannot read this file"));
  expect_refused(demo({"/dev/video-of-nobody", "-nogpu"}), "there is no such camera");
  expect_refused(demo({"/dev/v4l/by-id/nobody", "-nogpu"}), "there is no such camera");
  expect_refused(demo({"videotestsrc ! fakesink", "-nogpu", "-wait", "1000"}, {.timeout = 30}),
                 "end the pipeline in '! videoconvert");
  expect_refused(demo({"nosuchelement ! appsink", "-nogpu"}), "GStreamer");
  put_video("in.avi");
  std::filesystem::copy_file(work_.path("in.avi"), work_.path("a ! b.avi"));
  const CommandResult marked = demo({"a ! b.avi", "-nogpu"});
  EXPECT_EQ(marked.exit_code, 0) << "it is no pipeline: " << marked.all();
  expect_refused(demo({"in.avi", "images"}), "one video at a time");
  expect_refused(demo({"in.avi", "-out_filename", "out.txt"}), ".mp4");
  expect_refused(demo({"in.avi", "-out_filename", "in.avi"}),
                 "in.avi: would replace the source in.avi");
}

TEST_F(DemoVideoTest, AStreamThatIsNotThereYetIsWaitedFor) {
  const char* const nowhere = "http://127.0.0.1:1/x";
  const CommandResult late = demo({nowhere, "-nogpu", "-wait", ".6"}, {.timeout = 30});
  expect_refused(late, "this stream cannot be opened");
  EXPECT_EQ(late.err.find("-wait"), std::string::npos) << "it has waited: " << late.all();
  EXPECT_NE(late.out.find("waiting for it, 0.6 s at most; the first try: "), std::string::npos)
      << late.all();
  EXPECT_NE(late.out.find("this stream cannot be opened"), std::string::npos) << late.all();
  const CommandResult ended =
      demo({nowhere, "-nogpu", "-wait", "1000"},
           {.timeout = 30, .signal_when = "waiting for it", .signal = SIGINT});
  EXPECT_EQ(ended.exit_code, 130) << ended.all();
  EXPECT_NE(ended.out.find("ended while waiting for the source"), std::string::npos) << ended.all();
  const CommandResult limited =
      demo({nowhere, "-nogpu", "-wait", "1000", "-time_limit_sec", ".5"}, {.timeout = 30});
  EXPECT_EQ(limited.exit_code, 0) << limited.all();
}

// An extra: Debian has the element in gstreamer1.0-plugins-base, which nothing here needs.
TEST_F(DemoVideoTest, AGStreamerPipelineIsASource) {
  const CommandResult ran =
      demo({"videotestsrc num-buffers=20 ! video/x-raw,width=64,height=64 ! videoconvert ! "
            "video/x-raw,format=BGR ! appsink",
            "-nogpu", "-json_file_output", "x.jsonl"});
  if (ran.err.find("GStreamer") != std::string::npos)
    GTEST_SKIP() << "NOT TESTED: no GStreamer with videotestsrc, videoconvert and appsink";
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(lines("x.jsonl").size(), 20u);
}

// An extra: OpenCV's sample of people who walk, where scripts/fetch_vtest.sh or the package
// opencv-doc put it, and a published model.
TEST_F(DemoVideoTest, PeopleOfARealVideo) {
  namespace fs = std::filesystem;
  const fs::path model = extra_data("models/yolo-fastest-1.1");
  fs::path video = source_dir() / "data/vtest.avi";
  if (!fs::exists(video)) video = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
  if (!fs::exists(video))
    GTEST_SKIP() << "an extra test, of a real video: there is no " << video
                 << " (scripts/fetch_vtest.sh fetches one)";
  if (!fs::exists(model)) GTEST_SKIP() << why_no_extra_data(model);
  work_.put("coco.data", cat("classes = 80\nnames = ", (model / "coco.names").string(), "\n"));
  const std::string name = (model / "yolo-fastest-1.1").string();
  const CommandResult ran = work_.darknet(
      {"detector", "demo", "coco.data", name + ".cfg", name + ".weights", video.string(),
       "-dont_show", "-out_filename", "out.mp4", "-json_file_output", "x.jsonl"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(frames_in("out.mp4"), 795);
  EXPECT_NEAR(open_video_file(work_.path("out.mp4"))->format().fps, 10, .01);
  const auto frames = lines("x.jsonl");
  ASSERT_EQ(frames.size(), 795u);
  int people = 0;
  for (const json& frame : frames)
    for (const json& object : frame["objects"]) people += object["name"] == "person";
  EXPECT_GT(people, 795);  // four and more in most frames
}
#endif

}  // namespace
}  // namespace darknet::test
