// Shards behind a URL, from a server of the library that the client is of.
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <thread>

#include "core/file.h"
#include "core/tar_headers.h"
#include "dataset/batches.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/pack.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;

class HttpShards : public InFolder {
 protected:
  HttpShards() {
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
    server_.set_keep_alive_timeout(1);  // seconds for which it waits at its end
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~HttpShards() override { stop(); }
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string url(const std::string& path) const { return cat("http://127.0.0.1:", port_, path); }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::string sum_;
  std::atomic<int> requests_ = 0, whole_ = 0, version_ = 0, busy_ = 0;
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

TEST_F(HttpShards, ChecksumsAreCompared) {
  file(kShardSums, sum_ + "  t-0.tar\n");
  std::vector<std::string> said;
  const auto report = [&](const std::string& m) { said.push_back(m); };
  const auto never = [] { return false; };
  EXPECT_EQ(check_shards({url("/shards/t-0.tar")}, report, never), 0);
  file(kShardSums, std::string(64, '0') + "  t-0.tar\n");
  EXPECT_EQ(check_shards({url("/shards/t-0.tar")}, report, never), 1);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(holds(said[0], url("/shards/t-0.tar") + ": was changed or damaged")) << said[0];
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

TEST_F(HttpShards, AChangeIsNoticed) {
  const ImagePaths images = read_image_list(url("/versions.tar"));
  version_ = 1;
  EXPECT_TRUE(
      holds(error_of([&] { read_file(images[0], 1 << 30); }), "versions.tar: was changed since"));
}

TEST_F(HttpShards, AServerThatIsGoneIsSaid) {
  const ImagePaths images = read_image_list(url("/shards/t-0.tar"));
  stop();
  EXPECT_TRUE(holds(error_of([&] { read_file(images[0], 1 << 30); }), "no answer from the server"));
}

}  // namespace
}  // namespace darknet::testing_files
