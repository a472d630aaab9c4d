// One run of `detector demo`: a source, networks, and everywhere that what they find goes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/network_arguments.h"
#include "image/video.h"
#include "video/server.h"

namespace darknet::cli {

struct DemoOptions : NetworkArguments, ThresholdArguments {
  std::vector<std::string> source;  // none: the camera; else files, images, or one stream
  int camera = 0;
  CameraSettings camera_settings;   // fps also of images
  double reconnect = 30, wait = 0;  // seconds
  std::int64_t skip = 0;            // frames between those that are worked on
  int detectors = 0;                // 0: chosen

  bool dont_show = false, no_overlay = false, dontdraw_bbox = false;
  bool ext_output = false, track = false, json_array = false;
  bool benchmark = false;  // no window; with none of the outputs below
  std::string out_filename, codec, prefix, json_file_output;  // "": none
  ServerOptions server;
  std::int64_t avgframes = 1;
  float track_overlap = .2f;  // of -track: least IoU with where an object is expected
  Tiling tiling;
  double time_limit_sec = 0;  // seconds; 0: none
};

// The exit code.
int run_demo(const DemoOptions&);

}  // namespace darknet::cli
