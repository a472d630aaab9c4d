#include "video/scene_source.h"

#include <charconv>
#include <chrono>
#include <limits>
#include <string_view>
#include <thread>

#include "core/error.h"
#include "core/index.h"
#include "dataset/moving_scene.h"

namespace darknet {
namespace {

constexpr std::string_view kPrefix = "synth:";
constexpr double kFps = 25, kMinFps = 1, kMaxFps = 240;
constexpr std::int64_t kMaxFrames = 1'000'000'000;

struct SceneVideo {
  SceneSettings scene;
  double fps = kFps;
  std::int64_t frames = 0;  // 0: no end
};

// Reads a source's parameters; each part is taken off the front of what is left.
class SourceReader {
 public:
  explicit SourceReader(const std::string& source) : source_(source), left_(source_) {
    left_.remove_prefix(kPrefix.size());
  }
  SceneVideo read() {
    SceneVideo v;
    if (!left_.empty() && left_.front() != '@' && left_.front() != '?') {
      v.scene.width = number<std::int64_t>(1, 8192);
      expect("x");
      v.scene.height = number<std::int64_t>(1, 8192);
    }
    if (take("@")) v.fps = number<double>(kMinFps, kMaxFps);
    if (take("?")) do {
        read_pair(v);
      } while (take("&"));
    if (!left_.empty()) refuse();
    return v;
  }

 private:
  void read_pair(SceneVideo& v) {
    constexpr std::int64_t kMaxSeed = std::numeric_limits<std::int64_t>::max();
    if (take("seed="))
      v.scene.seed = static_cast<std::uint64_t>(number<std::int64_t>(0, kMaxSeed));
    else if (take("classes="))
      v.scene.classes = number<std::int64_t>(1, kMaxFrames);
    else if (take("objects="))
      v.scene.min_objects = v.scene.max_objects = number<std::int64_t>(0, kMaxFrames);
    else if (take("frames="))
      v.frames = number<std::int64_t>(1, kMaxFrames);
    else
      refuse();
  }
  bool take(std::string_view text) {
    if (!left_.starts_with(text)) return false;
    left_.remove_prefix(text.size());
    return true;
  }
  void expect(std::string_view text) {
    if (!take(text)) refuse();
  }
  template <class T>
  T number(T low, T high) {
    T value{};
    const auto [end, error] = std::from_chars(left_.data(), left_.data() + left_.size(), value);
    if (error != std::errc() || !(value >= low && value <= high)) refuse();
    left_.remove_prefix(to_size(end - left_.data()));
    return value;
  }
  [[noreturn]] void refuse() const {
    throw Error(
        cat(source_, ": cannot be read from \"", left_,
            "\" on; expected synth:[WIDTHxHEIGHT][@FPS][?seed=1&classes=3&objects=6&frames=N]"),
        2);
  }
  std::string source_;
  std::string_view left_;
};

class SceneSource : public VideoSource {
 public:
  explicit SceneSource(const SceneVideo& v) : video_(v), scene_(v.scene, v.fps) {}
  VideoFormat format() const override {
    return {.width = video_.scene.width,
            .height = video_.scene.height,
            .fps = video_.fps,
            .frames = video_.frames,
            .live = live()};
  }
  bool read(Image& image) override {
    if (!live() && next_ == video_.frames) return false;
    image = scene_.frame(next_++);
    if (!live()) return true;
    const std::chrono::duration<double> period(1 / video_.fps);
    due_ = std::max(due_, Clock::now() - std::chrono::seconds(1));  // late frames are not made up
    std::this_thread::sleep_until(due_);
    due_ += std::chrono::duration_cast<Clock::duration>(period);
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool live() const { return video_.frames == 0; }
  SceneVideo video_;
  MovingScene scene_;
  std::int64_t next_ = 0;
  Clock::time_point due_ = Clock::now();
};

}  // namespace

bool is_scene_source(const std::string& source) { return source.starts_with(kPrefix); }

std::unique_ptr<VideoSource> open_scene_source(const std::string& source) {
  return std::make_unique<SceneSource>(SourceReader(source).read());
}

}  // namespace darknet
