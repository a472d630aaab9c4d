#include "darknet/scenes.h"

#include "api/call.h"
#include "api/errors.h"
#include "core/error.h"
#include "core/log_capture.h"
#include "core/text.h"
#include "dataset/scene_set.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

SceneSetSettings settings_of(const SceneOptions& o) {
  constexpr std::int64_t kMaxImages = 10'000'000;
  if (o.images < 1 || o.images > kMaxImages)
    fail("images ", o.images, " is not from 1 to ", kMaxImages);
  if (o.format != "jpg" && o.format != "png")
    fail("format '", shown(o.format), "' is neither jpg nor png");
  api::require_threads("threads", o.threads);
  SceneSetSettings set{.count = o.images,
                       .test = o.test.value_or(o.images / 5),
                       .extension = "." + o.format,
                       .threads = o.threads,
                       .stop = o.stop};
  SceneSettings& s = set.scenes;
  s.width = o.width, s.height = o.height;
  s.classes = o.classes;
  s.min_objects = o.min_objects, s.max_objects = o.max_objects;
  s.min_size = o.min_size, s.max_size = o.max_size;
  if (o.min_size == 0 && o.max_size == 0) set_usual_sizes(s);
  s.clutter = o.clutter;
  s.seed = o.seed;
  return set;
}

fs::path run(const fs::path& folder, const SceneOptions& o) {
  const log::Capture::Take take = api::take_for(nullptr);
  const log::Capture capture(take);
  const SceneSetSettings set = settings_of(o);
  if (const std::int64_t drawn = write_scene_set(folder, set); drawn < set.count)
    fail("stopped after ", plural(drawn, "image"), " of ", set.count, "; ", folder.string(),
         " holds them without lists");
  return folder / "scenes.data";
}

}  // namespace

fs::path synthesize(const fs::path& folder, const SceneOptions& options) {
  return api::translated([&] { return run(folder, options); });
}

}  // namespace darknet
