#include "video/server.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "core/queue.h"
#include "core/start_thread.h"
#include "image/codec.h"
#include "video/page.h"
#include "web/http_listener.h"

namespace darknet {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGlance(200);  // between looks whether the end has come
constexpr int kUnavailable = 503;
constexpr const char* kBoundary = "darknet-frame";

// A place among those who are sent a stream, while it lives.
class Watcher {
 public:
  explicit Watcher(std::atomic<int>& watchers) : watchers_(watchers), place_(++watchers_) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { --watchers_; }
  bool has_place() const { return place_ <= kMaxStreams; }

 private:
  std::atomic<int>& watchers_;
  int place_;
};

// Sends what comes after what was sent, and nothing in between, until the client or all of it ends.
template <class T, class Format>
httplib::ContentProviderWithoutLength newest_of(const Latest<T>& latest, const Format& format,
                                                std::shared_ptr<Watcher> watcher) {
  // Shared, because the library copies the function.
  return [&latest, format, watcher = std::move(watcher), seen = std::uint64_t{0}](
             std::size_t, httplib::DataSink& sink) mutable {
    if (latest.closed()) {
      sink.done();
      return true;
    }
    const auto reading = latest.newer_than(seen, kGlance);
    if (!reading.value) return true;
    seen = reading.version;
    const std::string text = format(*reading.value);
    return sink.write(text.data(), text.size());
  };
}

std::string part_of(const std::string& jpeg) {
  return cat("--", kBoundary, "\r\nContent-Type: image/jpeg\r\nContent-Length: ", jpeg.size(),
             "\r\n\r\n", jpeg, "\r\n");
}

bool is_browser(const httplib::Request& request) {
  return request.get_header_value("Accept").find("text/html") != std::string::npos;
}

void never_kept(httplib::Response& response) { response.set_header("Cache-Control", "no-store"); }

// Sends the newest of `latest` as a stream, unless too many are sent one already.
template <class T, class Format>
void stream(httplib::Response& response, const std::string& type, const Latest<T>& latest,
            const Format& format, std::atomic<int>& watchers) {
  never_kept(response);
  auto watcher = std::make_shared<Watcher>(watchers);
  if (watcher->has_place())
    return response.set_content_provider(type, newest_of(latest, format, std::move(watcher)));
  response.status = kUnavailable;
  response.set_header("Retry-After", "5");
  response.set_content(cat(kMaxStreams, " others watch already\n"), "text/plain");
}

}  // namespace

struct FrameServer::Impl {
  explicit Impl(const ServerOptions& o) {
    if (o.image_port >= 0) {
      images = std::make_unique<HttpListener>(HttpAddress{o.bind, o.image_port});
      serve_images();
    }
    if (o.json_port >= 0) {
      findings = std::make_unique<HttpListener>(HttpAddress{o.bind, o.json_port});
      serve_findings();
    }
    if (images) encoder = start_thread("that encodes frames", [this] { encode(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    frames.close();
    jpegs.close();
    if (encoder.joinable()) encoder.join();
  }

  void serve_images();
  void serve_findings();
  void stream_images(httplib::Response&);
  void encode();

  Latest<Frame> frames;
  Latest<std::string> jpegs;
  std::atomic<int> watchers{0}, readers{0};  // of images; of findings
  std::thread encoder;
  std::unique_ptr<HttpListener> images, findings;  // gone first: their clients use the others
};

void FrameServer::Impl::stream_images(httplib::Response& response) {
  stream(response, cat("multipart/x-mixed-replace; boundary=", kBoundary), jpegs, part_of,
         watchers);
}

void FrameServer::Impl::serve_images() {
  using httplib::Request, httplib::Response;
  httplib::Server& server = images->server();
  server.Get("/", [this](const Request& request, Response& response) {
    if (is_browser(request))
      response.set_content(web_page(), "text/html; charset=utf-8");
    else
      stream_images(response);  // Darknet: players are given the bare address
  });
  server.Get("/stream.mjpg",
             [this](const Request&, Response& response) { stream_images(response); });
  server.Get("/state.json", [this](const Request&, Response& response) {
    const auto reading = frames.get();
    never_kept(response);
    response.set_content(reading.value ? reading.value->state : "{}", "application/json");
  });
  images->start();
}

void FrameServer::Impl::serve_findings() {
  using httplib::Request, httplib::Response;
  httplib::Server& server = findings->server();
  server.Get("/", [this](const Request&, Response& response) {
    stream(
        response, "application/x-ndjson", frames, [](const Frame& f) { return f.line + "\n"; },
        readers);
  });
  server.Get("/latest.json", [this](const Request&, Response& response) {
    const auto reading = frames.get();
    never_kept(response);
    response.set_content(reading.value ? reading.value->line : "{}", "application/json");
  });
  findings->start();
}

// One JPEG a frame, whoever watches; none while nobody does.
void FrameServer::Impl::encode() {
  for (std::uint64_t seen = 0; !frames.closed();) {
    const auto reading = frames.newer_than(seen, kGlance);
    if (!reading.value || watchers == 0) continue;
    seen = reading.version;
    jpegs.put(std::make_shared<const std::string>(darknet::encode(reading.value->image, ".jpg")));
  }
}

FrameServer::FrameServer(const ServerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
FrameServer::~FrameServer() = default;

int FrameServer::image_port() const { return impl_->images ? impl_->images->port() : -1; }
int FrameServer::json_port() const { return impl_->findings ? impl_->findings->port() : -1; }
void FrameServer::publish(const FinishedFrame& frame) { impl_->frames.put(frame); }

}  // namespace darknet
