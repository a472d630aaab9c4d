#include "dataset/scene_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/json.h"
#include "core/lock_file.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "dataset/data_set_files.h"
#include "dataset/scene_shapes.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr const char* kMark = "scenes.json";
constexpr const char* kLock = "scenes.lock";  // while scenes are drawn

std::string stem_of(std::int64_t k) { return fmt::format("scene-{:06}", k); }

bool holds_anything(const fs::path& folder) {
  return std::ranges::any_of(entries_of(folder),
                             [](const fs::path& path) { return path.filename() != kLock; });
}

// Only what write_scene_set itself made goes; the mark stays, so that whatever happens from here on
// the folder can be taken again.
void clear(const fs::path& folder) {
  for (const char* file : {"scenes.data", "train.txt", "test.txt"}) remove_file(folder / file);
  for (const char* part : {"images", "labels"}) {
    if (!is_folder(folder / part)) continue;
    for (const fs::path& path : entries_of(folder / part))
      if (path.filename().string().starts_with("scene-")) remove_file(path);
  }
}

std::string label_text(const std::vector<Truth>& truths) {
  std::string text;
  for (const Truth& t : truths)
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", t.class_id, t.box.x, t.box.y, t.box.w,
                        t.box.h);
  return text;
}

void write_scene(const fs::path& folder, const SceneSetSettings& s, std::int64_t k) {
  const Scene scene = make_scene(s.scenes, k);
  write_image(folder / "images" / (stem_of(k) + s.extension), scene.image);
  write_file_atomically(folder / "labels" / (stem_of(k) + ".txt"), label_text(scene.truths));
}

// Scenes are independent of each other: any thread takes the next one.
class Writers {
 public:
  Writers(const fs::path& folder, const SceneSetSettings& s)
      : folder_(folder), settings_(s), progress_("drawing scenes", s.count) {}

  // Returns how many there are.
  std::int64_t run() {
    const auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const int count = settings_.threads > 0 ? settings_.threads : cores;
    std::vector<std::thread> threads = start_threads(count - 1, [this] { work(); });
    work();
    for (std::thread& t : threads) t.join();
    if (error_) std::rethrow_exception(error_);
    return done_;
  }

 private:
  void work() {
    try {
      for (std::int64_t k = next_++; k < settings_.count && !stopped_; k = next_++) {
        if (settings_.stop && settings_.stop()) return;
        write_scene(folder_, settings_, k);
        const std::lock_guard lock(mutex_);
        progress_.at(++done_);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stopped_ = true;
    }
  }

  const fs::path& folder_;
  const SceneSetSettings& settings_;
  std::mutex mutex_;
  log::Progress progress_;
  std::atomic<std::int64_t> next_ = 0;
  std::atomic<bool> stopped_ = false;
  std::int64_t done_ = 0;
  std::exception_ptr error_;
};

void write_list(const fs::path& file, const SceneSetSettings& s, std::int64_t from,
                std::int64_t to) {
  std::vector<fs::path> images;
  for (std::int64_t k = from; k < to; ++k)
    images.push_back(file.parent_path() / "images" / (stem_of(k) + s.extension));
  write_image_list(file, images);
}

std::string data_text(const fs::path& folder, const SceneSetSettings& s) {
  DataFile data;
  data.classes = s.scenes.classes;
  if (s.test < s.count) data.train = folder / "train.txt";
  if (s.test > 0) data.valid = folder / "test.txt";
  data.names = folder / "scenes.names";
  data.backup = folder / "backup";
  return darknet::data_text(data);
}

nlohmann::json mark_of(const SceneSetSettings& s) {
  const SceneSettings& c = s.scenes;
  return {{"count", s.count},
          {"test", s.test},
          {"seed", c.seed},
          {"size", {c.width, c.height}},
          {"classes", c.classes},
          {"objects", {c.min_objects, c.max_objects}},
          {"object_size", {c.min_size, c.max_size}},
          {"clutter", c.clutter},
          {"format", s.extension.substr(1)}};
}

// Returns how many images there are.
std::int64_t draw_set(const fs::path& folder, const SceneSetSettings& s) {
  write_file_atomically(folder / kMark, dump_json(mark_of(s), 2) + "\n");
  make_folder(folder / "images");
  make_folder(folder / "labels");
  if (const std::int64_t done = Writers(folder, s).run(); done < s.count) return done;
  const std::int64_t training = s.count - s.test;
  if (training > 0) write_list(folder / "train.txt", s, 0, training);
  if (s.test > 0) write_list(folder / "test.txt", s, training, s.count);
  std::string names;
  for (std::int64_t i = 0; i < s.scenes.classes; ++i)
    names += std::string(kSceneClasses.at(to_size(i))) + "\n";
  write_file_atomically(folder / "scenes.names", names);
  write_file_atomically(folder / "scenes.data", data_text(folder, s));
  return s.count;
}

// After an error, of which the caller tells: nothing of the set stays but the mark where the folder
// holds other files, without which it would not be taken again.
void take_back(const fs::path& folder) {
  try {
    clear(folder);
    for (const char* part : {"images", "labels"})
      if (is_folder(folder / part) && entries_of(folder / part).empty()) remove_file(folder / part);
    remove_file(folder / "scenes.names");
    const auto is_own = [](const fs::path& path) {
      return path.filename() == kMark || path.filename() == kLock;
    };
    if (std::ranges::all_of(entries_of(folder), is_own)) remove_file(folder / kMark);
  } catch (const Error&) {  // the mark is left
  }
}

}  // namespace

void require_scene_folder(const fs::path& folder) {
  if (is_present(folder)) {
    if (!is_folder(folder)) fail_at({folder.string(), 0}, "this is not a folder");
    if (!is_present(folder / kMark) && holds_anything(folder))
      fail_at({folder.string(), 0}, "this folder is not empty and holds no earlier scenes (no ",
              kMark, "); give another one");
  }
  require_writable_folder(folder);
}

void check(const SceneSetSettings& s) {
  check(s.scenes);
  if (s.count < 1 || s.test < 0 || s.test > s.count)
    fail("images ", s.count, ", tests ", s.test,
         ": expected at least one image, and no more tests than images");
}

std::int64_t write_scene_set(const fs::path& folder, const SceneSetSettings& s) {
  check(s);
  require_scene_folder(folder);
  const LockFile lock(folder / kLock, "darknet synth");
  clear(folder);
  try {
    return draw_set(folder, s);
  } catch (...) {
    take_back(folder);
    throw;
  }
}

}  // namespace darknet
