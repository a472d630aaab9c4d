// Training from tar shards behind a URL: the weights of training from files, whatever the server
// does in between.
#include <httplib.h>

#include <atomic>
#include <memory>
#include <thread>

#include "cli_harness.h"
#include "core/byte_source.h"
#include "core/log_capture.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/pack.h"
#include "train/trainer.h"

namespace darknet::test {
namespace {

constexpr int kIterations = 210;

class ShardTraining : public CliTest {
 protected:
  ShardTraining() {
    std::string list;
    for (int i = 0; i < kTinyImages; ++i)
      list += work_.path(cat("images/", i, ".png")).string() + "\n";
    work_.put("all.txt", list);
    Packer packer({.out = work_.path("out"), .shard_bytes = 25'000, .classes = 3}, "work");
    packer.pack("train", read_image_list(work_.path("all.txt")), true);
    shards_ = packer.shards("train").size();
    packer.finish();
    put_data("disk.data", work_.path("out").string());

    server_.set_mount_point("/plain", work_.path("out").string());
    server_.set_logger([this](const httplib::Request&, const httplib::Response&) { ++requests_; });
    // Every twentieth answer ends in its middle, with the connection.
    server_.Get("/drop/(.*)", [this](const httplib::Request& asked, httplib::Response& answer) {
      const auto file =
          std::make_shared<const std::string>(work_.get("out/" + asked.matches[1].str()));
      answer.set_content_provider(
          file->size(), "application/x-tar",
          [this, file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
            const bool drops = length > 1 && ++parts_ % 20 == 0;
            sink.write(file->data() + offset, drops ? length / 2 : length);
            dropped_ += drops;
            return !drops;
          });
    });
    server_.set_keep_alive_timeout(1);  // seconds for which it waits at its end
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~ShardTraining() override { stop(); }
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  void put_data(const std::string& name, const std::string& folder) const {
    work_.put(name, cat("classes = 3\ntrain = ", folder, "/train-{000000..",
                        zero_padded(shards_ - 1, 6), "}.tar\nnames = x.names\n"));
  }
  std::string url(const std::string& path) const { return cat("http://127.0.0.1:", port_, path); }
  CommandResult train_on(const std::string& data, const std::string& backup,
                         const CommandOptions& options = {},
                         const std::string& weights = "") const {
    std::vector<std::string> words{"detector", "train", data, "x.cfg"};
    if (!weights.empty()) words.push_back(weights);
    for (const char* word : {"-deterministic", "-nogpu", "-cache", "0", "-backup"})
      words.emplace_back(word);
    words.insert(words.end(), {backup, "-max_batches", cat(kIterations), "-set",
                               "net.0.shuffle_window=3", "-set", "net.0.mosaic=1"});
    return work_.darknet(words, options);
  }
  void train_from_disk() const {
    const CommandResult ran = train_on("disk.data", "disk");
    ASSERT_EQ(ran.exit_code, 0) << ran.all();
  }
  void expect_those_of_disk(const std::string& backup) const {
    for (const char* const name : {"/x_final.weights", "/x_last.state"})
      EXPECT_TRUE(work_.get("disk" + std::string(name)) == work_.get(backup + name)) << name;
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::size_t shards_ = 0;
  std::atomic<int> requests_ = 0, parts_ = 0, dropped_ = 0;
};

TEST_F(ShardTraining, OverHttpKilledAndResumedIsThatFromDisk) {
  ASSERT_GT(shards_, 1u);
  train_from_disk();
  put_data("http.data", url("/plain"));
  CommandResult ran = train_on("http.data", "b", {.signal_when = "\n130/", .signal = SIGKILL});
  ASSERT_EQ(ran.signal, SIGKILL) << ran.all();
  EXPECT_FALSE(work_.has("b/x_final.weights"));
  const int before = requests_;
  ran = train_on("http.data", "b", {}, "b/x_last.weights");
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "at iteration 100")) << ran.all();
  EXPECT_GT(requests_ - before, kIterations - 100);
  expect_those_of_disk("b");
}

TEST_F(ShardTraining, FromAServerThatDropsConnectionsIsThatFromDisk) {
  train_from_disk();
  put_data("http.data", url("/drop"));
  const CommandResult ran = train_on("http.data", "b", {.timeout = 300});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_GT(dropped_, 10);
  expect_those_of_disk("b");
}

// In this process, where less patience can be asked for.
TEST_F(ShardTraining, EndsAfterSavingWhereTheServerIsGone) {
  put_data("http.data", url("/plain"));
  class StopsServer : public TrainingObserver {
   public:
    explicit StopsServer(std::function<void()> stop) : stop_(std::move(stop)) {}
    void iteration(const IterationReport& r) override {
      if (r.iteration == 5) stop_();
    }

   private:
    std::function<void()> stop_;
  };
  TrainingSettings settings{.data = work_.path("http.data"), .cfg = work_.path("x.cfg")};
  settings.backup = work_.path("b");
  settings.max_batches = 100'000;
  settings.cache_mb = 0;
  const int patience = http_retry_ms.exchange(500);
  std::string error;
  {
    const log::Capture::Take quiet = [](log::Level, const std::string&) {};
    const log::Capture capture(quiet);
    try {
      train_detector(settings, std::make_unique<StopsServer>([this] { stop(); }));
    } catch (const SourceFailure& e) {
      error = e.what();
      EXPECT_EQ(e.exit_code(), 1);
    }
  }
  http_retry_ms = patience;
  EXPECT_NE(error.find(url("/plain/train-00000")), error.npos) << error;
  EXPECT_NE(error.find("no answer from the server"), error.npos) << error;
  EXPECT_NE(error.find("; given up after 0 s"), error.npos) << error;
  EXPECT_TRUE(work_.has("b/x_last.state"));
  EXPECT_FALSE(work_.has("b/x_final.weights"));
}

}  // namespace
}  // namespace darknet::test
