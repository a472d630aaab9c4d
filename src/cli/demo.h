// One run of `detector demo`: a source, networks, and everywhere that what they find goes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/device.h"
#include "image/video.h"
#include "video/server.h"

namespace darknet::cli {

struct DemoOptions {
  std::string data, cfg, weights;
  std::vector<std::string> sources;  // none: the camera; else files, pictures, or one stream
  int camera = 0;
  CameraSettings camera_settings;  // fps also of pictures
  double reconnect = 30;           // seconds
  std::vector<std::string> overrides;
  std::filesystem::path tuning;
  float threshold = .25f, nms = .45f;
  Device device;
  bool exact = false, letter_box = false;
  int detectors = 0;  // 0: chosen

  bool dont_show = false, plain = false, dont_draw_boxes = false;
  bool ext_output = false, benchmark = false, track = false, json_array = false;
  std::string out_video, codec, stills, json;  // "": none
  ServerOptions server;
  std::int64_t average_frames = 1;
  double time_limit = 0;  // seconds; 0: none
};

// The exit code.
int run_demo(const DemoOptions&);

}  // namespace darknet::cli
