// Shards behind a URL, from a server of the library that the client is of.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "core/broken_pipe.h"
#include "core/byte_source.h"
#include "core/file.h"
#include "core/log_capture.h"
#include "core/stop_signal.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/pack.h"
#include "dataset/shard_sums.h"
#include "dataset/shard_verifier.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;

class HttpShards : public InFolder {
 protected:
  HttpShards() {
    http_retry_ms = 1000;
    stop_signal = 0;
    TarWriter tar(folder_ / "t-0.tar");
    for (int i = 0; i < 5; ++i) {
      tar.add(cat(i, ".png"), encode(testing_images::noise(40 + i, 50, 3), ".png"));
      tar.add(cat(i, ".txt"), "1 .5 .5 .2 .2\n");
    }
    sum_ = tar.commit().sha256;
    server_.set_mount_point("/shards", folder_.string());
    server_.set_logger([this](const httplib::Request& r, const httplib::Response&) {
      ++requests_;
      if (!r.has_header("Range")) ++whole_;
    });
    server_.Get("/whole.tar", [this](const httplib::Request&, httplib::Response& r) {
      r.status = 200;
      r.set_content(read_file(folder_ / "t-0.tar", 1 << 30), "application/x-tar");
    });
    server_.Get("/versions.tar", [this](const httplib::Request&, httplib::Response& r) {
      r.set_header("ETag", cat('"', version_.load(), '"'));
      r.set_content(read_file(folder_ / "t-0.tar", 1 << 30), "application/x-tar");
    });
    server_.Get("/busy.tar", [this](const httplib::Request&, httplib::Response& r) {
      if (busy_-- > 0)
        r.status = 503;
      else
        r.set_content(read_file(folder_ / "t-0.tar", 1 << 30), "application/x-tar");
    });
    server_.Get("/some/(.*)", [this](const httplib::Request& asked, httplib::Response& r) {
      if (asked.matches[1] == kShardSums)
        r.status = without_sums_;
      else
        r.set_content(read_file(folder_ / "t-0.tar", 1 << 30), "application/x-tar");
    });
    server_.Get("/moved.tar", [](const httplib::Request&, httplib::Response& r) {
      r.set_redirect("/shards/t-0.tar");
    });
    server_.Get("/nowhere.tar", [](const httplib::Request&, httplib::Response& r) {
      r.set_redirect("http://h:99999999999/x.tar");
    });
    server_.Get("/circle.tar", [](const httplib::Request&, httplib::Response& r) {
      r.set_redirect("circle.tar");
    });
    // What no client may take in whole: without an end, an error page or not.
    for (const int status : {200, 404})
      server_.Get(cat("/endless-", status, ".tar"),
                  [this, status](const httplib::Request&, httplib::Response& r) {
                    r.status = status;
                    r.set_chunked_content_provider("application/x-tar",
                                                   [this](std::size_t, httplib::DataSink& sink) {
                                                     const std::string piece(1 << 16, 'x');
                                                     sent_ += std::ssize(piece);
                                                     return sink.write(piece.data(), piece.size());
                                                   });
                  });
    server_.Get("/chunks.tar", [](const httplib::Request&, httplib::Response& r) {
      r.status = 206;
      r.set_header("Content-Range", "bytes 0-0/100000");
      r.set_chunked_content_provider("application/x-tar", [](std::size_t, httplib::DataSink& sink) {
        const std::string piece(1 << 16, 'x');
        return sink.write(piece.data(), piece.size());
      });
    });
    server_.Get("/other-part.tar", [](const httplib::Request&, httplib::Response& r) {
      r.status = 206;
      r.set_header("Content-Range", "bytes 7-7/100000");
      r.body = "x";
    });
    server_.Get("/huge.tar", [](const httplib::Request&, httplib::Response& r) {
      r.status = 206;
      r.set_header("Content-Range", "bytes 0-0/9223372036854775808");
      r.body = "x";
    });
    server_.Get("/slow.tar", [](const httplib::Request&, httplib::Response& r) {
      r.set_content_provider(100'000, "application/x-tar",
                             [](std::size_t, std::size_t, httplib::DataSink& sink) {
                               std::this_thread::sleep_for(std::chrono::milliseconds(30));
                               return sink.write("x", 1);
                             });
    });
    server_.set_keep_alive_timeout(1);  // seconds for which it waits at its end
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }

 public:
  ~HttpShards() override {
    stop();
    http_retry_ms = 30'000;
    stop_signal = 0;
  }

 protected:
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string url(const std::string& path) const { return cat("http://127.0.0.1:", port_, path); }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::string sum_;
  std::atomic<std::int64_t> sent_ = 0;
  std::atomic<int> requests_ = 0, whole_ = 0, version_ = 0, busy_ = 0, without_sums_ = 0;
};

TEST_F(HttpShards, HoldTheSameAsFiles) {
  const auto batch_of = [](const fs::path& list) {
    const LabelledImages all = read_all_labels(read_image_list(list), 3);
    return Batches({.images = all.images,
                    .truths = all.truths,
                    .batch = 5,
                    .size =
                        [](std::int64_t) {
                          return InputSize{32, 32};
                        }})
        .make(0);
  };
  const Batch a = batch_of(url("/shards/t-{0..0}.tar")), b = batch_of(folder_ / "t-0.tar");
  ASSERT_EQ(a.images.size(), 5u);
  EXPECT_TRUE(a.pixels == b.pixels);
  EXPECT_EQ(a.truths[4].size(), 1u);
  EXPECT_EQ(whole_, 0);
}

// Labels come with the headers: a request for each would take hours for a large set.
TEST_F(HttpShards, LabelsCostNoRequests) {
  const ImagePaths images = read_image_list(url("/shards/t-0.tar"));
  const int before = requests_;
  EXPECT_EQ(read_all_labels(images, 3).objects, 5);
  EXPECT_EQ(requests_, before);
}

TEST_F(HttpShards, LabelFilesMayLieInLabels) {
  TarWriter tar(folder_ / "labels.tar");
  tar.add("images/1.png", "x"), tar.add("labels/1.txt", "1 .5 .5 .1 .1\n");
  tar.commit();
  const LabelledImages all = read_all_labels(read_image_list(url("/shards/labels.tar")), 3);
  EXPECT_EQ(all.truths[0][0].class_id, 1);
}

TEST_F(HttpShards, ChecksumsAreCompared) {
  file(kShardSums, sum_ + "  t-0.tar\n");
  std::vector<std::string> said;
  const auto report = [&](const std::string& m) { said.push_back(m); };
  const auto never = [] { return false; };
  EXPECT_EQ(check_shards({url("/shards/t-0.tar")}, report, never), 0);
  file(kShardSums, cat(std::string(64, '0'), "  t-0.tar\n"));
  EXPECT_EQ(check_shards({url("/shards/t-0.tar")}, report, never), 1);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], url("/shards/t-0.tar") + ": was changed or damaged")) << said[0];
}

// Object stores may answer 403 for what they do not have. Any other answer is no reason to go on
// without them.
TEST_F(HttpShards, ChecksumsMayBeMissing) {
  const ImagePaths images = read_image_list(url("/some/t-0.tar"));
  for (const int status : {403, 404}) {
    without_sums_ = status;
    EXPECT_EQ(error_of([&] { const ShardVerifier shards(images); }), "") << status;
  }
  without_sums_ = 401;
  EXPECT_EQ(error_of([&] { const ShardVerifier shards(images); }),
            url("/some/shards.sha256: the server answers with status 401"));
}

TEST_F(HttpShards, WhatAServerLacksIsSaid) {
  const auto error = [&](const std::string& path) {
    return error_of([&] { read_image_list(url(path)); });
  };
  EXPECT_TRUE(holds(error("/shards/none.tar"), "none.tar: the server answers with status 404"));
  EXPECT_TRUE(holds(error("/whole.tar"), "the server sends whole files only"))
      << error("/whole.tar");
  busy_ = 2;  // a server that is busy is asked again
  EXPECT_EQ(read_image_list(url("/busy.tar")).size(), 5u);
}

TEST_F(HttpShards, AnAnswerIsReadNoFurtherThanItIsUseful) {
  const auto error = [&](const std::string& path) {
    return error_of([&] { open_source(url(path)); });
  };
  EXPECT_TRUE(holds(error("/endless-200.tar"), "the server sends whole files only"));
  EXPECT_TRUE(holds(error("/endless-404.tar"), "the server answers with status 404"));
  EXPECT_LT(sent_, 64 << 20);
  EXPECT_TRUE(holds(error("/chunks.tar"), "the server's answer is refused: it comes in chunks"))
      << error("/chunks.tar");
  EXPECT_TRUE(holds(error("/other-part.tar"), "does not say that it sent the bytes from 0 on"))
      << error("/other-part.tar");
  EXPECT_TRUE(holds(error("/huge.tar"), "does not say how large")) << error("/huge.tar");
}

TEST_F(HttpShards, AServerThatSendsAByteNowAndThenIsNotWaitedFor) {
  const auto source = open_http_source(url("/slow.tar"), std::chrono::milliseconds(300));
  std::string bytes(1000, '\0');
  const auto start = std::chrono::steady_clock::now();
  const std::string error = error_of([&] { source->read(0, bytes.data(), bytes.size()); });
  EXPECT_TRUE(holds(error, "it was not complete after 300 ms")) << error;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(HttpShards, RedirectsAreFollowed) {
  EXPECT_EQ(read_image_list(url("/moved.tar")).size(), 5u);
  EXPECT_TRUE(holds(error_of([&] { open_source(url("/circle.tar")); }), "status 302"));
  EXPECT_EQ(
      error_of([&] { open_source(url("/nowhere.tar")); }),
      url("/nowhere.tar: the server sends on to http://h:99999999999/x.tar: its port is not a "
          "number from 1 to 65535"));
}

TEST_F(HttpShards, AChangeIsNoticed) {
  const ImagePaths images = read_image_list(url("/versions.tar"));
  version_ = 1;
  EXPECT_TRUE(holds(error_of([&] { read_file(images[0], 1 << 30); }),
                    "versions.tar: 0.png: was changed since"));
}

TEST_F(HttpShards, AServerThatIsGoneIsSaid) {
  const ImagePaths images = read_image_list(url("/shards/t-0.tar"));
  stop();
  std::vector<std::string> said;
  const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
  const log::Capture capture(take);
  for (int i = 0; i < 2; ++i) {
    try {
      read_file(images[0], 1 << 30);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const SourceFailure& e) {
      EXPECT_TRUE(holds(e.what(),
                        "t-0.tar: 0.png: no answer from the server: it refused the "
                        "connection"))
          << e.what();
      EXPECT_TRUE(holds(e.what(), "; given up after 1 s")) << e.what();
    }
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], ": does not answer, trying again for 1 s")) << said[0];
}

TEST_F(HttpShards, AServerThatIsGoneIsNotWaitedForWhereTheProgramIsToStop) {
  const ImagePaths images = read_image_list(url("/shards/t-0.tar"));
  stop();
  http_retry_ms = 60'000;
  std::thread signal([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop_signal = 2;
  });
  const auto start = std::chrono::steady_clock::now();
  try {
    read_file(images[0], 1 << 30);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const SourceFailure& e) {
    EXPECT_EQ(e.exit_code(), 130);
    EXPECT_TRUE(holds(e.what(), "the program was asked to stop")) << e.what();
  }
  signal.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(HttpShards, SmallMembersAreReadSeveralAtOnce) {
  TarWriter tar(folder_ / "small.tar");
  for (int i = 0; i < 500; ++i) tar.add(cat(i, ".png"), std::string(2000, 'x'));
  tar.commit();
  EXPECT_EQ(read_image_list(url("/shards/small.tar")).size(), 500u);
  EXPECT_LT(requests_, 20);
}

// Sends these bytes to its first client, whatever that asks.
class OneAnswer {
 public:
  explicit OneAnswer(std::string bytes) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const a = reinterpret_cast<::sockaddr*>(&address);
    ::socklen_t size = sizeof address;
    if (::bind(socket_, a, size) != 0 || ::listen(socket_, 1) != 0 ||
        ::getsockname(socket_, a, &size) != 0)
      ADD_FAILURE() << "no port";
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, all = std::move(bytes)] {
      const int client = ::accept(socket_, nullptr, nullptr);
      std::size_t sent = 0;
      for (::ssize_t n = 1; n > 0 && sent < all.size(); sent += static_cast<std::size_t>(n))
        n = std::max<::ssize_t>(::send(client, all.data() + sent, all.size() - sent, MSG_NOSIGNAL),
                                0);
      ::close(client);
    });
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  ~OneAnswer() {
    thread_.join();
    ::close(socket_);
  }
  std::string url() const { return cat("http://127.0.0.1:", port_, "/x.tar"); }

 private:
  int socket_, port_ = 0;
  std::thread thread_;
};

// An end of the program where httplib reads them unchecked: it matches a status line by recursion.
// They are refused at once: asked again, the server would say the same.
TEST(HttpAnswers, WithoutAnEndOfTheirHeadAreRefused) {
  const std::string line(1 << 22, 'a'), ok = "HTTP/1.1 206 OK\r\n";
  const std::string part = "Content-Range: bytes 0-0/9\r\nContent-Length: 1\r\n\r\nx";
  const std::string long_line = "its status line exceeds 2048 bytes";
  const std::string many = "its headers exceed 65536 bytes";
  const std::string below_200 = "its status is one of 100 to 199, which no request asked for";
  const auto status_line = [](std::size_t bytes) {
    return "HTTP/1.1 206 " + std::string(bytes - 15, 'a') + "\r\n";
  };
  const std::vector<std::pair<std::string, std::string>> answers {
    {"HTTP/1.1 206 " + line + "\r\n", long_line}, {status_line(2049), long_line}, {line, long_line},
        {ok + "X: " + line + "\r\n", many},
#if !defined(CPPHTTPLIB_ALLOW_LF_AS_LINE_TERMINATOR)
        {ok + "\nX: " + line + "\r\n", many},
#endif
        {ok + "\r\r\nX: " + line + "\r\n", many},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 206 " + line + "\r\n", below_200},
        {"HTTP/1.1 100 Continue\r\n\r\n" + ok, below_200}, {
      "HTTP/1.0 199 \r\n\r\n" + ok, below_200
    }
  };
  for (const auto& [head, why] : answers) {
    const OneAnswer server(head + part);
    EXPECT_EQ(error_of([&] { open_source(server.url()); }),
              cat(server.url(), ": the server's answer is refused: ", why));
  }
  std::string headers;
  while (headers.size() + 8000 < (64u << 10) - 200)
    headers += "X: " + std::string(7900, 'a') + "\r\n";
  for (const std::string& head : {ok, status_line(2048), ok + headers}) {
    const OneAnswer sound(head + part);
    EXPECT_EQ(error_of([&] { EXPECT_EQ(open_source(sound.url())->size(), 9u); }), "");
  }
  const OneAnswer longer(ok + "Content-Range: bytes 0-0/9\r\n\r\n" + line);  // to its end
  EXPECT_TRUE(
      holds(error_of([&] { open_source(longer.url()); }), "the server sent more than the 1 bytes"));
}

// What a library writes to a connection that is closed does not end the program there.
TEST(Sigpipe, IsNotSentWhereItIsNotWanted) {
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  auto* const before =
      std::signal(SIGPIPE, SIG_DFL);  // servers of httplib in this process ignore it
  const auto blocked = [] {
    ::sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    return ::sigismember(&set, SIGPIPE) == 1;
  };
  EXPECT_FALSE(blocked());
  {
    const WithoutSigpipe outer;
    {
      const WithoutSigpipe inner;
      EXPECT_EQ(::write(ends[1], "x", 1), -1);
      EXPECT_EQ(errno, EPIPE);
    }
    EXPECT_EQ(::write(ends[1], "x", 1), -1);
    EXPECT_TRUE(blocked());
  }
  EXPECT_FALSE(blocked());  // and none is left, which would have ended this program
  std::signal(SIGPIPE, before);
  ::close(ends[1]);
}

TEST(Urls, OfOtherKindsAreRefused) {
  EXPECT_EQ(error_of([] { open_source("ftp://h/x.tar"); }),
            "ftp://h/x.tar: only http:// and https:// are read");
  EXPECT_EQ(error_of([] { read_image_list("s3://h/x.txt"); }),
            "s3://h/x.txt: only http:// and https:// are read");
}

// Of a long name httplib would overflow the stack.
TEST(Urls, WithoutASoundServerAreRefused) {
  const auto error = [](const std::string& server) {
    return error_of([&] { open_source(cat("http://", server, "/x.tar")); });
  };
  for (const char* const port : {"", "0", "x", "-1", "65536", "99999999999999999999"})
    EXPECT_EQ(error(cat("h:", port)),
              cat("http://h:", port, "/x.tar: its port is not a number from 1 to 65535"));
  EXPECT_EQ(error(""), "http:///x.tar: names no server");
  EXPECT_EQ(error(":80"), "http://:80/x.tar: names no server");
  EXPECT_EQ(error("[::1"), "http://[::1/x.tar: the [ of its address has no ]");
  EXPECT_TRUE(holds(error("[::1]x"), "http://[::1]x/x.tar: behind the ] of its address only a"));
  EXPECT_EQ(error_of([] { open_source("http://h?x=/y.tar"); }),
            "http://h?x=/y.tar: names a server and no file");
  const std::string with_password = error("me:se@cret@h:80");
  EXPECT_TRUE(holds(with_password, "http://h:80/x.tar: user names and passwords")) << with_password;
  EXPECT_FALSE(holds(with_password, "cret")) << with_password;
  EXPECT_TRUE(holds(error(std::string(300'000, 'a')), "the name of its server exceeds 253 bytes"));
}

}  // namespace
}  // namespace darknet::testing_files
