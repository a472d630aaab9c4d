#include "train/live_page.h"

#include <charconv>
#include <sstream>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "image/codec.h"
#include "report/side_by_side.h"
#include "report/training_page.h"
#include "train/progress.h"
#include "web/http_listener.h"

namespace darknet {
namespace {

using httplib::Request, httplib::Response;

constexpr const char *kHtml = "text/html; charset=utf-8", *kNotKept = "no-store";
constexpr std::size_t kBacklog = 256;  // iterations that are stored before the history takes them

// "images/ITERATION/K.jpg": of one evaluation, so that a browser may keep it.
std::string image_address(const EvaluationSample& s, std::size_t image) {
  return cat("images/", s.iteration, "/", image, ".jpg");
}

// With hits, false positives and missed objects.
ScenePanel drawn(const SampledImage& image, const std::vector<std::string>& names) {
  const SideBySide sides{.truths = image.truths,
                         .panels = {{image.file.filename().string(), image.detections}},
                         .names = names};
  return scene_panels(read_image(image.file), sides).back();
}

}  // namespace

// One mutex guards what the training thread stores and is held for a moment only; another guards
// what pages are made of, while they are made.
struct LivePage::Impl {
  explicit Impl(const HttpAddress& address) : listener(address) {}

  struct Snapshot {
    TrainingProgress progress;
    std::shared_ptr<const EvaluationSample> sample;
  };
  // The newest state, after the waiting iterations were added to the history. Call with `drawing`
  // locked.
  Snapshot snapshot();
  void add_to_history(const std::vector<LoggedIteration>&);
  std::vector<PageImage> images_of(const Snapshot&) const;
  void serve();
  void answer(const char* path, const char* type, const std::function<std::string()>& made);
  void send_image(const Request&, Response&);

  std::mutex arriving;
  std::vector<LoggedIteration> waiting;
  Snapshot newest;

  std::mutex drawing;  // one page or image at a time: the cores are the training's
  TrainingHistory history;
  std::vector<std::string> names;
  HttpListener listener;  // gone first: its clients use the others
};

void LivePage::Impl::add_to_history(const std::vector<LoggedIteration>& iterations) {
  for (const LoggedIteration& i : iterations) history.add(i);
}

LivePage::Impl::Snapshot LivePage::Impl::snapshot() {
  std::unique_lock lock(arriving);
  std::vector<LoggedIteration> more = std::exchange(waiting, {});
  Snapshot now = newest;
  lock.unlock();
  add_to_history(more);
  return now;
}

std::vector<PageImage> LivePage::Impl::images_of(const Snapshot& now) const {
  std::vector<PageImage> images;
  if (now.sample)
    for (std::size_t i = 0; i < now.sample->images.size(); ++i)
      images.push_back(
          {image_address(*now.sample, i), now.sample->images[i].file.filename().string()});
  return images;
}

void LivePage::Impl::answer(const char* path, const char* type,
                            const std::function<std::string()>& made) {
  listener.server().Get(path, [this, type, made](const Request&, Response& response) {
    const std::lock_guard lock(drawing);
    response.set_header("Cache-Control", kNotKept);
    response.set_content(made(), type);
  });
}

void LivePage::Impl::serve() {
  answer("/", kHtml, [this] {
    const Snapshot now = snapshot();
    return training_page(history, now.progress, images_of(now));
  });
  answer("/state.json", "application/json", [this] {
    const Snapshot now = snapshot();
    return training_state_json(history, now.progress);
  });
  answer("/charts.html", kHtml, [this] {
    snapshot();
    return training_charts(history);
  });
  answer("/images.html", kHtml, [this] {
    const Snapshot now = snapshot();
    return training_images(now.progress, images_of(now));
  });
  listener.server().Get(R"(/images/\d{1,18}/\d{1,4}\.jpg)",
                        [this](const Request& asked, Response& response) {
                          const std::lock_guard lock(drawing);
                          send_image(asked, response);
                        });
  listener.start();
}

// 404 once another evaluation has replaced it, or where its file is gone.
void LivePage::Impl::send_image(const Request& asked, Response& response) try {
  const Snapshot now = snapshot();
  for (std::size_t i = 0; now.sample && i < now.sample->images.size(); ++i)
    if (asked.path == cat("/", image_address(*now.sample, i))) {
      response.set_header("Cache-Control", "max-age=3600");
      return response.set_content(encode(drawn(now.sample->images[i], names).image, ".jpg"),
                                  "image/jpeg");
    }
  response.status = 404;
} catch (const Error& e) {
  response.status = 404;
  response.set_content(cat(e.what(), "\n"), "text/plain");
}

LivePage::LivePage(const HttpAddress& address, const std::string& title)
    : impl_(std::make_unique<Impl>(address)) {
  impl_->history.label = title;
  impl_->serve();
}
LivePage::~LivePage() = default;

int LivePage::port() const { return impl_->listener.port(); }

std::unique_lock<std::mutex> LivePage::hold_drawing() { return std::unique_lock(impl_->drawing); }

void LivePage::begin(std::vector<std::string> names, const std::string& past) {
  const std::lock_guard lock(impl_->drawing);
  impl_->names = std::move(names);
  std::istringstream lines(past);
  for (std::string line; std::getline(lines, line);) impl_->history.add(line);
}

void LivePage::iteration(const IterationReport& r) {
  std::unique_lock arriving(impl_->arriving);
  impl_->waiting.push_back(logged(r));
  Impl::Snapshot& newest = impl_->newest;
  newest.progress = {.phase = TrainingPhase::training,
                     .iteration = r.iteration,
                     .max_batches = r.max_batches,
                     .seconds_per_iteration = r.seconds_per_iteration,
                     .best_score = r.best_score};
  newest.sample = r.sample;
  if (r.sample)
    newest.progress.sampled_at = r.sample->iteration,
    newest.progress.threshold = r.sample->threshold;
  if (impl_->waiting.size() < kBacklog) return;
  // No page was asked for in a while. Where one is being drawn, the next iteration is soon enough.
  const std::unique_lock drawing(impl_->drawing, std::try_to_lock);
  if (drawing) impl_->add_to_history(std::exchange(impl_->waiting, {}));
}

void LivePage::finished(bool complete) {
  const std::lock_guard lock(impl_->arriving);
  impl_->newest.progress.phase = complete ? TrainingPhase::finished : TrainingPhase::interrupted;
}

std::unique_ptr<LivePage> open_page(const HttpAddress& http, const std::string& title) {
  if (http.port < 0) return nullptr;
  auto page = std::make_unique<LivePage>(http, title);
  log::info(cat("this run can be watched at ", url_of(http.bind, page->port())));
  return page;
}

}  // namespace darknet
