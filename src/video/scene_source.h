// A moving synthetic scene as a video source ("synth:"), so that everything can be tried without a
// camera or a file.
#pragma once
#include <memory>
#include <string>

#include "image/video.h"

namespace darknet {

bool is_scene_source(const std::string& source);  // whether it begins with "synth:"

// synth:[WIDTHxHEIGHT][@FPS][?seed=1&classes=3&objects=6&frames=N]. Without `frames` it has no end
// and comes live, at its rate; with it each frame is worked on, as of a file. Throws on anything
// else.
std::unique_ptr<VideoSource> open_scene_source(const std::string& source);

}  // namespace darknet
