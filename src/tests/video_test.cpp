// What is recorded and served of a video, and video files in and out.
#include "image/video.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "temporary_folder.h"
#include "video/recorder.h"
#include "video/server.h"

namespace darknet::testing_files {
namespace {
using namespace std::chrono_literals;
using nlohmann::json;

const std::vector<std::string> kNames{"person", "x\"\\\xFF"};

std::shared_ptr<Frame> frame_of(std::int64_t number, std::int64_t width = 64) {
  auto frame = std::make_shared<Frame>();
  frame->number = number;
  frame->seconds = .25;
  frame->image = Image(width, 48, 3);
  frame->found = {{{{.5f, .4f, .2f, .1f}, 0, .9f, .9f}, 7}, {{{.5f, .4f, .2f, .1f}, 1, .5f, .5f}}};
  frame->line = frame_json(*frame, kNames);
  frame->state = state_json(*frame, kNames, {}, {{0, 3}});
  return frame;
}

TEST(FrameJson, IsAlexeyABsWithTimeAndIdentities) {
  const json j = json::parse(frame_of(12)->line);
  EXPECT_EQ(j["frame_id"], 12);
  EXPECT_EQ(j["seconds"], .25);
  ASSERT_EQ(j["objects"].size(), 2u);
  EXPECT_EQ(j["objects"][0]["name"], "person");
  EXPECT_EQ(j["objects"][0]["track_id"], 7);
  EXPECT_FLOAT_EQ(j["objects"][0]["relative_coordinates"]["center_y"].get<float>(), .4f);
  EXPECT_FALSE(j["objects"][1].contains("track_id"));
  const json state = json::parse(frame_of(12)->state);
  EXPECT_EQ(state["counts"]["person"], 1);
  EXPECT_EQ(state["seen"]["person"], 3);
}

class RecorderTest : public InFolder {};

TEST_F(RecorderTest, LinesAreWholeAfterEachFrame) {
  const auto path = file("x.jsonl", "of an earlier run\n");
  Recorder recorder(path, RecordFormat::lines);
  EXPECT_EQ(read_file(path, 1 << 20), "");
  recorder.add(frame_of(1)->line);
  recorder.add(frame_of(2)->line);
  EXPECT_EQ(read_file(path, 1 << 20), frame_of(1)->line + "\n" + frame_of(2)->line + "\n");
}

TEST_F(RecorderTest, AnArrayIsClosedAtTheEnd) {
  for (const int frames : {0, 1, 3}) {
    Recorder recorder(folder_ / "x.json", RecordFormat::array);
    for (int i = 1; i <= frames; ++i) recorder.add(frame_of(i)->line);
    recorder.close();
    const json j = json::parse(read_file(folder_ / "x.json", 1 << 20));
    EXPECT_EQ(j.size(), static_cast<std::size_t>(frames));
  }
  EXPECT_NE(error_of([&] {
              Recorder(folder_ / "missing" / "x.json", RecordFormat::lines);
            }).find("missing"),
            std::string::npos);
}

// Publishes frames as fast as a detector would, until the test has seen enough.
class Publisher {
 public:
  explicit Publisher(FrameServer& server, std::int64_t width = 64)
      : thread_([&server, width, this] {
          for (std::int64_t i = 1; !stop_; ++i) {
            const auto before = std::chrono::steady_clock::now();
            server.publish(frame_of(i, width));
            longest = std::max(longest, std::chrono::steady_clock::now() - before);
            std::this_thread::sleep_for(2ms);
          }
        }) {}
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;
  ~Publisher() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::chrono::steady_clock::duration longest{};  // after stop()

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

httplib::Client client_of(int port) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(20s);
  return client;
}

// What the server sends until it contains `wanted` that often.
std::string received(int port, const std::string& path, const std::string& wanted, int times) {
  std::string all;
  auto client = client_of(port);
  client.Get(path, [&](const char* data, std::size_t size) {
    all.append(data, size);
    int found = 0;
    for (auto at = all.find(wanted); at != all.npos; at = all.find(wanted, at + 1)) ++found;
    return found < times;
  });
  return all;
}

TEST(Server, ServesPageStateAndStreams) {
  FrameServer server({.picture_port = 0, .json_port = 0});
  auto client = client_of(server.picture_port());
  EXPECT_EQ(client.Get("/state.json")->body, "{}");  // before the first frame
  const Publisher publisher(server);
  const auto page = client.Get("/", {{"Accept", "text/html,*/*"}});
  ASSERT_TRUE(page);
  EXPECT_NE(page->body.find("viewport"), std::string::npos);
  EXPECT_NE(page->body.find("stream.mjpg"), std::string::npos);
  for (const char* path : {"/", "/stream.mjpg"}) {  // the bare address, as players ask
    const std::string stream = received(server.picture_port(), path, "Content-Type: image/jpeg", 4);
    const auto start = stream.find("\r\n\r\n") + 4;
    EXPECT_EQ(stream.substr(start, 2), "\xFF\xD8") << path;
  }
  const std::string lines = received(server.json_port(), "/", "\n", 5);
  const json first = json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["objects"].size(), 2u);
  EXPECT_GT(json::parse(client.Get("/state.json")->body)["frame_id"].get<int>(), 0);
  EXPECT_EQ(client.Get("/etc/passwd")->status, 404);
}

// Asks for the stream and never reads it.
class StalledClient {
 public:
  explicit StalledClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int little = 4096;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    ::sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(socket_, reinterpret_cast<const ::sockaddr*>(&to), sizeof to) == 0;
    const std::string ask = "GET /stream.mjpg HTTP/1.1\r\nHost: x\r\n\r\n";
    connected = connected && ::send(socket_, ask.data(), ask.size(), 0) > 0;
  }
  StalledClient(const StalledClient&) = delete;
  StalledClient& operator=(const StalledClient&) = delete;
  ~StalledClient() { ::close(socket_); }
  bool connected = false;

 private:
  int socket_;
};

TEST(Server, AStalledClientHoldsNeitherTheDetectorNorOtherClients) {
  FrameServer server({.picture_port = 0});
  Publisher publisher(server, 1920);
  const StalledClient stalled(server.picture_port());
  ASSERT_TRUE(stalled.connected);
  std::this_thread::sleep_for(300ms);  // its buffers are full now
  const std::string stream =
      received(server.picture_port(), "/stream.mjpg", "Content-Type: image/jpeg", 30);
  EXPECT_FALSE(stream.empty());
  publisher.stop();
  // Seconds where it waited for the client; a busy machine's hiccups are shorter.
  EXPECT_LT(publisher.longest, 1s);
}

TEST(Server, APortInUseAndAForeignAddressAreRefused) {
  const FrameServer first({.picture_port = 0});
  EXPECT_NE(error_of([&] { FrameServer({.picture_port = first.picture_port()}); }).find("in use"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { FrameServer({.bind = "192.0.2.1", .picture_port = 0}); }).find("192.0.2.1"),
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

TEST_F(VideoFile, WhatCannotBeOpenedIsToldByName) {
  const auto text = file("text.mp4", "this is no video");
  EXPECT_NE(error_of([&] { open_video_file(text); }).find("text.mp4: this is no video"),
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
