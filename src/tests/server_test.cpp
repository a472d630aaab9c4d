// The web server: what it serves, and what clients cannot do to it.
#include "video/server.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/error.h"
#include "core/json.h"
#include "frame_samples.h"
#include "http_client.h"
#include "temporary_folder.h"
#include "web/http_listener.h"

namespace darknet::testing_files {
namespace {
using namespace std::chrono_literals;
using nlohmann::json;

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
  FrameServer server({.image_port = 0, .json_port = 0});
  auto client = client_of(server.image_port());
  EXPECT_EQ(client.Get("/state.json")->body, "{}");  // before the first frame
  const Publisher publisher(server);
  const auto page = client.Get("/", {{"Accept", "text/html,*/*"}});
  ASSERT_TRUE(page);
  EXPECT_NE(page->body.find("viewport"), std::string::npos);
  EXPECT_NE(page->body.find("stream.mjpg"), std::string::npos);
  for (const char* path : {"/", "/stream.mjpg"}) {  // the bare address, as players ask
    const std::string stream = received(server.image_port(), path, "Content-Type: image/jpeg", 4);
    const auto start = stream.find("\r\n\r\n") + 4;
    EXPECT_EQ(stream.substr(start, 2), "\xFF\xD8") << path;
  }
  const std::string lines = received(server.json_port(), "/", "\n", 5);
  const json first = parse_json(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["objects"].size(), 2u);
  EXPECT_GT(parse_json(client.Get("/state.json")->body)["frame_id"].get<int>(), 0);
  EXPECT_EQ(client.Get("/etc/passwd")->status, 404);
}

const std::string kAskStream = "GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(Server, AStalledClientHoldsNeitherTheDetectorNorOtherClients) {
  FrameServer server({.image_port = 0});
  Publisher publisher(server, 1920);
  const RawClient stalled(server.image_port(), kAskStream);  // never reads
  ASSERT_TRUE(stalled.connected);
  std::this_thread::sleep_for(300ms);  // its buffers are full now
  const std::string stream =
      received(server.image_port(), "/stream.mjpg", "Content-Type: image/jpeg", 30);
  EXPECT_FALSE(stream.empty());
  publisher.stop();
  // Seconds where it waited for the client; a busy machine's hiccups are shorter.
  EXPECT_LT(publisher.longest, 1s);
}

TEST(Server, APortInUseAndAForeignAddressAreRefused) {
  const FrameServer first({.image_port = 0});
  const std::string in_use = error_of([&] { FrameServer({.image_port = first.image_port()}); });
  EXPECT_NE(in_use.find("in use"), std::string::npos);
  EXPECT_NE(in_use.find("give another port"), std::string::npos);
  EXPECT_TRUE(error_of([&] {
                FrameServer({.bind = "192.0.2.1", .image_port = 0});
              }).starts_with("-bind 192.0.2.1: this address cannot be used"));
}

int threads_now() {
  int count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

TEST(Server, ThreadsAreMadeWhenClientsCome) {
  const int before = threads_now();
  const FrameServer server({.image_port = 0, .json_port = 0});
  EXPECT_LE(threads_now() - before, 5);  // two that wait, two that answer, one that encodes
}

// As `nc -N` and `printf ... | socat` do.
TEST(Server, AClientThatSendsNoMoreGetsItsAnswer) {
  FrameServer server({.image_port = 0, .json_port = 0});
  const Publisher publisher(server);
  const RawClient page(server.image_port(), "GET /state.json HTTP/1.1\r\nHost: localhost\r\n\r\n");
  page.end_sending();
  const std::string answer = page.answer();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  const RawClient stream(server.image_port(), kAskStream);
  stream.end_sending();
  EXPECT_GE(stream.answer(20000).size(), 20000u);
}

TEST(Server, ABodyIsRefusedWithoutBeingRead) {
  const FrameServer server({.image_port = 0, .json_port = 0});
  for (const int port : {server.image_port(), server.json_port()})
    for (const auto& [request, status] :
         {std::pair{"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000000\r\n\r\nabc",
                    " 413 "},
          {"PUT /state.json HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", " 413 "},
          {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", " 413 "},
          {"GET / HTTP/1.1\r\nContent-Length: 3000000000\r\n\r\n", " 413 "},
          {"POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", " 413 "},
          {"DELETE /state.json HTTP/1.1\r\n\r\n", " 405 "},
          {"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", " 405 "}}) {
      const auto start = std::chrono::steady_clock::now();
      const std::string answer = RawClient(port, request).answer();
      EXPECT_EQ(answer.substr(0, 13), cat("HTTP/1.1", status)) << request << answer;
      EXPECT_LT(std::chrono::steady_clock::now() - start, 3s) << request;
    }
}

// Whatever has no end: it is read up to a limit, and the sender then has nobody to send to.
TEST(Server, ARequestWithoutEndIsCutOff) {
  constexpr int kPieces = 1000;  // of 64 kB
  const FrameServer server({.image_port = 0});
  for (const auto& [begin, piece] :
       {std::pair<std::string, std::string>{"", std::string(65536, 'x')},
        {"GET / HTTP/1.1\r\nA: ", std::string(65536, 'x')},
        {"GET / HTTP/1.1\r\n",
         [] {
           std::string lines;
           while (lines.size() < 65536) lines += "Header: x\r\n";
           return lines;
         }()},
        {"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n", std::string(65536, '\0')}}) {
    const RawClient client(server.image_port(), begin);
    int sent = 0;
    while (sent < kPieces && client.send(piece)) ++sent;
    EXPECT_LT(sent, kPieces) << begin;
  }
  EXPECT_TRUE(client_of(server.image_port()).Get("/state.json"));
}

TEST(Server, OnItsOwnMachineItAnswersToThisMachinesNamesOnly) {
  for (const auto& [host, allowed] : {std::pair{"localhost", true},
                                      {"LocalHost:8090", true},
                                      {"127.0.0.1", true},
                                      {"127.9.8.7:80", true},
                                      {"[::1]:8090", true},
                                      {"[::1]", true},
                                      {"", true},
                                      {"evil.example", false},
                                      {"evil.example:8090", false},
                                      {"127.0.0.1.evil.example", false},
                                      {"localhost.evil.example", false},
                                      {"192.168.1.7:8090", false},
                                      {"[::2]:80", false},
                                      {"127.0.0.1@evil.example", false}}) {
    EXPECT_EQ(is_host_allowed(host, "127.0.0.1"), allowed) << host;
    EXPECT_EQ(is_host_allowed(host, "::1"), allowed) << host;
    EXPECT_EQ(is_host_allowed(host, "localhost"), allowed) << host;
    EXPECT_TRUE(is_host_allowed(host, "0.0.0.0")) << host;  // open to all, under any name
  }
  const FrameServer server({.image_port = 0, .json_port = 0});
  for (const int port : {server.image_port(), server.json_port()}) {
    const char* path = port == server.json_port() ? "/latest.json" : "/state.json";
    EXPECT_EQ(client_of(port).Get(path, {{"Host", cat("evil.example:", port)}})->status, 403);
    EXPECT_EQ(client_of(port).Get(path, {{"Host", cat("localhost:", port)}})->status, 200);
  }
}

TEST(Server, ThePageAndTheFiguresAreAnsweredWhoeverWatches) {
  FrameServer server({.image_port = 0});
  const Publisher publisher(server);
  std::vector<std::unique_ptr<RawClient>> watchers;
  int turned_away = 0;
  for (int i = 0; i < kMaxStreams + 8; ++i) {
    watchers.push_back(std::make_unique<RawClient>(server.image_port(), kAskStream));
    turned_away += watchers.back()->answer(15).starts_with("HTTP/1.1 503");
  }
  EXPECT_EQ(turned_away, 8);
  auto client = client_of(server.image_port());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.Get("/state.json")->status, 200);
  EXPECT_EQ(client.Get("/", {{"Accept", "text/html"}})->status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
  watchers.clear();  // their places are free again
  for (int i = 0;
       i < 50 &&
       client.Get("/stream.mjpg", [](const char*, std::size_t) { return false; }).error() !=
           httplib::Error::Canceled;
       ++i)
    std::this_thread::sleep_for(100ms);
  EXPECT_FALSE(received(server.image_port(), "/stream.mjpg", "image/jpeg", 2).empty());
}

TEST(Server, ClientsThatSayNothingHoldNobodyForLong) {
  const FrameServer server({.image_port = 0});
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < kMaxClients + 20; ++i)
    silent.push_back(std::make_unique<RawClient>(server.image_port(), "GET /"));
  EXPECT_TRUE(client_of(server.image_port()).Get("/state.json"));
}

}  // namespace
}  // namespace darknet::testing_files
