// Frames of a video as they are recorded and served, for tests.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "video/recorder.h"

namespace darknet::testing_files {

inline const std::vector<std::string> kNames{"person", "x\"\\\xFF"};

inline std::shared_ptr<Frame> frame_of(std::int64_t number, std::int64_t width = 64) {
  auto frame = std::make_shared<Frame>();
  frame->number = number;
  frame->seconds = .25;
  frame->image = Image(width, 48, 3);
  frame->found = {{{{.5f, .4f, .2f, .1f}, 0, .9f, .9f}, 7}, {{{.5f, .4f, .2f, .1f}, 1, .5f, .5f}}};
  frame->line = frame_json(*frame, kNames);
  frame->state = state_json(*frame, kNames, {}, {{0, 3}});
  return frame;
}

}  // namespace darknet::testing_files
