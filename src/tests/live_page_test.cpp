// The page of a training run while it goes: what it shows, and that nobody who looks holds the run.
#include "train/live_page.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "http_client.h"
#include "image/image.h"
#include "report/training_page.h"
#include "temporary_folder.h"

namespace darknet::testing_files {
namespace {
using namespace std::chrono_literals;
using nlohmann::json;

// A run whose figures are known: one head, easy to check.
class KnownRun {
 public:
  KnownRun() {
    step_.loss = 2, step_.heads.resize(1);
    HeadTelemetry& head = step_.heads.front();
    head.positives = 4, head.negatives = 100;
    head.gradient_positive = 3, head.gradient_easy_negative = 1;
    head.p_positive = 2, head.p_negative = 5;
  }
  IterationReport report(std::int64_t iteration) {
    return {.iteration = iteration,
            .max_batches = 10000,
            .images = 8,
            .average_loss = 1.5,
            .learning_rate = .001f,
            .seconds_per_iteration = .1,
            .best_score = sample ? .5 : -1.,
            .step = &step_,
            .head_layers = {16},
            .sample = sample};
  }
  std::shared_ptr<const EvaluationSample> sample;

 private:
  StepResult step_;
};

std::string value_of(const json& state, const std::string& figure) {
  for (const json& f : state["figures"])
    if (f[0] == figure) return f[1];
  return "";
}

class LivePageTest : public InFolder {};

TEST_F(LivePageTest, IsThereBeforeTheFirstIteration) {
  LivePage page({.port = 0}, "cells");
  auto client = client_of(page.port());
  const auto found = client.Get("/");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->status, 200);
  EXPECT_TRUE(holds(found->body, "<title>Training of cells</title>"));
  EXPECT_TRUE(holds(found->body, "name=\"viewport\""));
  EXPECT_EQ(parse_json(client.Get("/state.json")->body)["phase"], "preparing");
  EXPECT_EQ(client.Get("/charts.html")->body, "");
  EXPECT_EQ(client.Get("/images.html")->body, "");
  EXPECT_EQ(client.Get("/images/100/0.jpg")->status, 404);
  EXPECT_EQ(client.Get("/etc/passwd")->status, 404);
}

TEST_F(LivePageTest, ShowsTheFiguresOfTheRun) {
  LivePage page({.port = 0}, "cells");
  page.begin({"a"}, "");
  KnownRun run;
  for (std::int64_t i = 1; i <= 2500; ++i) page.iteration(run.report(i));
  auto client = client_of(page.port());
  json state = parse_json(client.Get("/state.json")->body);
  EXPECT_EQ(state["phase"], "training");
  EXPECT_EQ(state["iteration"], 2500);
  EXPECT_EQ(state["done"], .25);
  EXPECT_EQ(state["sampled_at"], -1);
  EXPECT_EQ(value_of(state, "iteration"), "2500 of 10000");
  EXPECT_EQ(value_of(state, "time left"), "0:12:30");
  EXPECT_EQ(value_of(state, "loss, running average"), "1.5");
  EXPECT_EQ(value_of(state, "gradient from objects"), "75.0 %");
  EXPECT_EQ(value_of(state, "gradient from easy background"), "25.0 %");
  EXPECT_EQ(value_of(state, "objects in the first gradient"), "75.0 %");
  EXPECT_EQ(value_of(state, "mean p of objects"), "0.5");
  EXPECT_EQ(value_of(state, "mean p of background"), "0.05");
  EXPECT_EQ(value_of(state, "images per second"), "80");
  EXPECT_EQ(value_of(state, "best mAP@0.5"), "");
  const std::string html = client.Get("/")->body;
  EXPECT_TRUE(holds(html, "<dd>2500 of 10000</dd>"));
  for (const char* panel : {"<h3>Loss</h3><svg", "Who moves the objectness", "Mean objectness"})
    EXPECT_TRUE(holds(html, panel)) << panel;
  EXPECT_TRUE(holds(client.Get("/charts.html")->body, "<h3>Loss</h3><svg"));
  page.finished(false);
  state = parse_json(client.Get("/state.json")->body);
  EXPECT_EQ(state["phase"], "interrupted");
  EXPECT_EQ(value_of(state, "time left"), "");
}

TEST_F(LivePageTest, TakesUpWhatAResumedRunKeeps) {
  LivePage page({.port = 0}, "cells");
  KnownRun run;
  std::string past;
  page.begin({"a"},
             R"({"iteration":1,"loss":3,"map":0.25,"heads":[{"gradient_share_positive":0.1}]})"
             "\n");
  page.iteration(run.report(2));
  const json state = parse_json(client_of(page.port()).Get("/state.json")->body);
  EXPECT_EQ(value_of(state, "mAP@0.5 on valid="), "25.0 %");
  EXPECT_EQ(value_of(state, "objects in the first gradient"), "10.0 %");
}

TEST_F(LivePageTest, DrawsTheImagesOfTheLastEvaluation) {
  const auto image = folder_ / "a <b>.png";
  write_image(image, Image(64, 48, 3));
  KnownRun run;
  run.sample = std::make_shared<EvaluationSample>(
      EvaluationSample{100,
                       .3f,
                       {{image, {{{.5f, .5f, .2f, .2f}, 0}}, {{{.5f, .5f, .2f, .2f}, 0, .9f, .9f}}},
                        {folder_ / "gone.png", {}, {}}}});
  LivePage page({.port = 0}, "cells");
  page.begin({"</b>"}, "");
  page.iteration(run.report(100));
  auto client = client_of(page.port());
  EXPECT_EQ(parse_json(client.Get("/state.json")->body)["sampled_at"], 100);
  const std::string html = client.Get("/images.html")->body;
  EXPECT_TRUE(holds(html, "src=\"images/100/0.jpg\""));
  EXPECT_TRUE(holds(html, "a &lt;b&gt;.png"));
  EXPECT_TRUE(holds(html, "its F1 is best, 0.30"));
  const auto jpeg = client.Get("/images/100/0.jpg");
  EXPECT_EQ(jpeg->get_header_value("Content-Type"), "image/jpeg");
  EXPECT_EQ(decode_image(jpeg->body, "answer").width, 448);  // enlarged, to be read
  EXPECT_EQ(client.Get("/images/100/1.jpg")->status, 404);   // its file is gone
  EXPECT_EQ(client.Get("/images/100/2.jpg")->status, 404);
  EXPECT_EQ(client.Get("/images/99/0.jpg")->status, 404);
}

// However long something is drawn, and however many iterations wait to be taken up.
TEST_F(LivePageTest, NobodyWhoLooksHoldsTheRun) {
  constexpr std::int64_t kIterations = 1000;  // several backlogs
  LivePage page({.port = 0}, "cells");
  page.begin({"a"}, "");
  auto drawing = page.hold_drawing();
  auto viewer = std::async(std::launch::async, [&] {
    return parse_json(client_of(page.port()).Get("/state.json")->body);
  });
  auto run = std::async(std::launch::async, [&] {
    KnownRun known;
    for (std::int64_t i = 1; i <= kIterations; ++i) page.iteration(known.report(i));
    page.finished(true);
  });
  EXPECT_EQ(run.wait_for(15s), std::future_status::ready) << "the run waits for what is drawn";
  EXPECT_EQ(viewer.wait_for(0s), std::future_status::timeout) << "nothing was held";
  drawing.unlock();
  EXPECT_EQ(viewer.get()["iteration"], kIterations);
  run.get();
}

TEST_F(LivePageTest, APortInUseIsRefused) {
  const LivePage first({.port = 0}, "a");
  const std::string said = error_of([&] { LivePage({.port = first.port()}, "b"); });
  EXPECT_TRUE(holds(said, "in use") && holds(said, "give another port")) << said;
}

}  // namespace
}  // namespace darknet::testing_files

namespace darknet::test {
namespace {
using namespace std::chrono_literals;
using nlohmann::json;

class WatchedTraining : public CliTest {};

TEST_F(WatchedTraining, APortInUseEndsItBeforeAnythingIsRead) {
  const LivePage other({.port = 0}, "x");
  const std::string port = std::to_string(other.port());
  expect_refused(train({"-http_port", port}), "127.0.0.1:" + port + ": the port is in use");
  expect_refused(train({"-http_port", "70000"}), "http_port", 2);
  expect_refused(train({"-http_port", port, "-bind", ""}), "-bind: it is empty", 2);
  expect_refused(train({"-bind", "0.0.0.0"}), "-bind needs -http_port", 2);
  for (const auto& [bind, said] : {std::pair{"192.0.2.1", ": this address cannot be used"},
                                   {"nowhere.invalid", ": this is neither an address nor"}})
    expect_refused(train({"-http_port", "0", "-bind", bind}), cat("darknet: -bind ", bind, said));
  EXPECT_FALSE(work_.has("backup"));
}

// A free port that nobody takes in the meantime, most probably.
int free_port() { return LivePage({.port = 0}, "x").port(); }

TEST_F(WatchedTraining, ShowsDetectionsWhileItGoesAndEndsOnCtrlC) {
  const int port = free_port();
  auto run = std::async(std::launch::async, [&] {
    return train({"-map", "-http_port", std::to_string(port), "-max_batches", "1000000"},
                 {.signal_when = "iteration 3000: mAP", .signal = SIGINT});
  });
  auto client = testing_files::client_of(port);
  json state;
  std::string image;
  while (run.wait_for(5ms) != std::future_status::ready && image.empty()) {
    const auto found = client.Get("/state.json");
    if (!found) continue;
    state = parse_json(found->body);
    if (state["sampled_at"] < 0) continue;
    const std::string html = client.Get("/images.html")->body;
    const auto at = html.find("src=\"") + 5;
    if (const auto got = client.Get("/" + html.substr(at, html.find('"', at) - at)))
      if (got->status == 200) image = got->body;
  }
  const CommandResult ran = run.get();
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  EXPECT_NE(ran.out.find("interrupted at iteration"), std::string::npos) << ran.all();
  EXPECT_EQ(state["phase"], "training");
  EXPECT_EQ(decode_image(image, "answer").width, 448);
}

}  // namespace
}  // namespace darknet::test
