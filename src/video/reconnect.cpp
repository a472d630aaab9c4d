#include "video/reconnect.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "core/log.h"

namespace darknet {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double kFirstPause = .25, kLongestPause = 8;  // seconds; each pause is twice the last
constexpr std::chrono::milliseconds kGlance(50);        // between looks whether to stop

bool rest(double seconds, const std::function<bool()>& stopped) {  // false: stopped
  const auto end = Clock::now() + Seconds(seconds);
  while (Clock::now() < end) {
    if (stopped()) return false;
    std::this_thread::sleep_for(std::min<Seconds>(kGlance, end - Clock::now()));
  }
  return true;
}

class ReconnectingSource : public VideoSource {
 public:
  ReconnectingSource(std::function<std::unique_ptr<VideoSource>()> open, ReconnectOptions options)
      : open_(std::move(open)), options_(std::move(options)), source_(open_()) {
    format_ = source_->format();
    format_.live = true;
  }
  VideoFormat format() const override { return format_; }
  bool read(Image& image) override {
    return (source_ && source_->read(image)) || (!options_.stopped() && found_again(image));
  }

 private:
  bool found_again(Image& image) {
    source_.reset();
    if (options_.patience <= 0) fail(options_.name, ": the stream ended or was lost");
    log::warn(fmt::format("{}: the stream ended or was lost; trying again for {:g} s",
                          options_.name, options_.patience));
    const auto lost = Clock::now();
    for (double pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      const double left = options_.patience - Seconds(Clock::now() - lost).count();
      if (left <= 0) break;
      if (!rest(std::min(pause, left), options_.stopped)) return false;
      if (!try_open(image)) continue;
      log::info(fmt::format("{}: connected again after {:.1f} s", options_.name,
                            Seconds(Clock::now() - lost).count()));
      return true;
    }
    fail(options_.name, ": the stream was lost and not found again within ", options_.patience,
         " s");
  }
  bool try_open(Image& image) try {
    source_ = open_();
    return source_->read(image);
  } catch (const UnusableSource&) {
    throw;
  } catch (const Error&) {  // not there yet
    return false;
  }

  std::function<std::unique_ptr<VideoSource>()> open_;
  ReconnectOptions options_;
  std::unique_ptr<VideoSource> source_;
  VideoFormat format_;
};

}  // namespace

std::unique_ptr<VideoSource> wait_for_source(
    const std::function<std::unique_ptr<VideoSource>()>& open, const ReconnectOptions& o) {
  const auto begin = Clock::now();
  const auto waited = [begin] { return Seconds(Clock::now() - begin).count(); };
  for (double pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    try {
      auto source = open();
      log::end_progress();
      return source;
    } catch (const UnusableSource&) {
      log::end_progress();
      throw;
    } catch (const Error& e) {
      const double left = o.patience - waited();
      if (left <= 0) {
        log::end_progress();
        throw;
      }
      if (pause == kFirstPause)
        log::info(fmt::format("{}: waiting for it, {:g} s at most; the first try: {}", o.name,
                              o.patience, e.what()));
      pause = std::min(pause, left);
    }
    log::progress(fmt::format("waiting for {}: {:.0f} of {:g} s", o.name, waited(), o.patience),
                  false);
    if (rest(pause, o.stopped)) continue;
    log::end_progress();
    return nullptr;
  }
}

std::unique_ptr<VideoSource> reconnecting(std::function<std::unique_ptr<VideoSource>()> open,
                                          ReconnectOptions options) {
  return std::make_unique<ReconnectingSource>(std::move(open), std::move(options));
}

}  // namespace darknet
