// Draws data sets of small objects on clutter, as `darknet synth` does: the same bytes. C++17.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "darknet/error.h"
#include "darknet/export.h"

namespace darknet {

// What is out of its range is an Exception of synthesize().
struct SceneOptions {
  std::int64_t images = 1000;                     // in all, 1 to 10 million
  std::optional<std::int64_t> test;               // the last of them, for valid=; none: a fifth
  std::int64_t width = 416, height = 416;         // pixels, 16 to 8192
  std::int64_t classes = 3;                       // kinds of objects, 1 to 10
  std::int64_t min_objects = 1, max_objects = 6;  // in an image, 0 to 1000
  // The larger side of an object, pixels; both 0: 4 to 14 % of the smaller side of the image.
  float min_size = 0, max_size = 0;
  std::int64_t clutter = 3;    // look-alikes and lines, 0 to 100
  std::uint64_t seed = 1;      // the same seed draws the same bytes
  std::string format = "jpg";  // or "png"
  int threads = 0;             // that draw; 0: one for each core, up to 1024
  // Asked before each image by any thread, the calling one among them, and must not throw. Once it
  // returns true, synthesize() throws; the next call for that folder begins again. Null: nobody.
  std::function<bool()> stop;
};

// Fills the folder with images/, labels/, train.txt, test.txt, scenes.names and scenes.data, and
// returns the path of the last. Scenes made there before are replaced; throws where the folder
// holds anything else.
DARKNET_EXPORT std::filesystem::path synthesize(const std::filesystem::path& folder,
                                                const SceneOptions& = {});

}  // namespace darknet
