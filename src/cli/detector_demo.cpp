// darknet detector demo data cfg weights [source]

#include "cli/common_flags.h"
#include "cli/demo.h"
#include "cli/demo_source.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet::cli {
namespace {

constexpr int kMaxSide = 1 << 16, kMaxFrames = 1000;

void add_source_flags(const Command& command, DemoOptions& o) {
  command.argument(
      "source", o.source,
      "a video file, a stream (rtsp://, http://), a camera (/dev/video0), a GStreamer pipeline "
      "('... ! appsink'), or images: files, folders, patterns, .txt lists; synth: is a moving "
      "synthetic scene (docs/demo.md); none: the camera");
  command.option("-c,-camera", o.camera, "number of the camera").integer_in(0, 1000).show_default();
  command.option("-width", o.camera_settings.width, "of the camera's image")
      .integer_in(1, kMaxSide);
  command.option("-height", o.camera_settings.height, "of the camera's image")
      .integer_in(1, kMaxSide);
  command.option("-fps", o.camera_settings.fps, "frames a second of the camera, or of images (25)")
      .number_in(.01, 1000);
  command
      .option("-reconnect", o.reconnect,
              "seconds to reconnect to a camera or stream that was lost; 0: end at once")
      .number_in(0, 1e6)
      .show_default();
  command
      .option("-wait", o.wait,
              "seconds to wait for a camera or stream that is not there yet; 0: end at once")
      .number_in(0, 1e6)
      .show_default();
  command
      .option("-s", o.skip,
              "frames to skip between two that are worked on; outputs have the others alone")
      .integer_in(0, kMaxFrames)
      .value_name("N")
      .show_default();
  command.option("-time_limit_sec", o.time_limit_sec, "end after so many seconds")
      .number_in(0, 1e9);
}

void add_detection_flags(const Command& command, DemoOptions& o) {
  add_threshold_flags(command, o);
  add_hier(command, o.hier);
  command.option("-avgframes", o.avgframes, "average what is found over so many frames")
      .integer_in(1, kMaxFrames)
      .show_default();
  command.flag("-track", o.track, "number the objects and count them");
  command
      .option("-iou_thresh", o.track_overlap,
              "of -track: least overlap of an object with where it is expected")
      .number_in(0, 1)
      .show_default();
  add_tile_flags(command, o.tiling);
  command
      .option("-detectors", o.detectors,
              "networks at work at once, on different frames (files: one per core, at most 4; "
              "live, and on a GPU: 1)")
      .integer_in(1, 64);
  add_network_flags(command, o);
}

void add_output_flags(const Command& command, DemoOptions& o) {
  command.option("-out_filename", o.out_filename,
                 "write the annotated video: .mp4, .mov, .avi, .mkv, .webm");
  command.text_option("-codec", o.codec, "of -out_filename: four letters, such as mp4v, avc1, MJPG")
      .check([](const std::string& codec) {
        return codec.size() == 4 ? std::string() : cat("'", shown(codec), "' is not four letters");
      })
      .needs(command.at("-out_filename"));
  command.option("-prefix", o.prefix, "write every frame as PREFIX_00000001.jpg");
  command.option(
      "-json_file_output", o.json_file_output,
      "write what is found: x.json is one array, any other name (x.jsonl) one object a line");
  command.flag("-json_array", o.json_array, "of -json_file_output: one array, whatever its name")
      .needs(command.at("-json_file_output"));
  add_port(command, "-mjpeg_port", o.server.image_port, "serve a web page and the images as MJPEG");
  add_port(command, "-json_port", o.server.json_port,
           "serve what is found as a stream of JSON lines");
  add_bind(command, o.server.bind);
  command.flag("-ext_output", o.ext_output, "print the boxes of every frame in pixels");
  command.flag("-dont_show", o.dont_show, "open no window");
  command.flag("-dontdraw_bbox", o.dontdraw_bbox, "draw no boxes");
  command.flag("-no_overlay", o.no_overlay, "draw no figures");
  const Option benchmark =
      command.flag("-benchmark", o.benchmark,
                   "only detect, as fast as it goes, and print the times; without any output");
  for (const char* output : {"-out_filename", "-prefix", "-json_file_output", "-mjpeg_port",
                             "-json_port", "-ext_output"})
    benchmark.excludes(command.at(output));
}

struct SourceFlag {
  const char *name, *sources;  // sources: that it is for, in words
  bool (*suits)(SourceKind);
};
bool is_camera(SourceKind kind) { return kind == SourceKind::camera; }
bool is_live(SourceKind kind) {
  return is_camera(kind) || kind == SourceKind::stream || kind == SourceKind::pipeline;
}
constexpr SourceFlag kSourceFlags[] = {{"-width", "a camera", is_camera},
                                       {"-height", "a camera", is_camera},
                                       {"-reconnect", "a camera or a stream", is_live},
                                       {"-wait", "a camera or a stream", is_live}};

// Flags that would have no effect.
void check_flags(const Command& command, const DemoOptions& o) {
  const SourceKind kind = kind_of_source(o);
  for (const SourceFlag& flag : kSourceFlags)
    if (command.at(flag.name).given() && !flag.suits(kind))
      throw Error(cat(flag.name, " is for ", flag.sources, ", and ", printable(o.source.front()),
                      " is none; leave it out"),
                  2);
  // Only a warning: scripts for other Darknet forks give these.
  const auto warn_of = [&](const char* flag, bool suits) {
    if (command.at(flag).given() && !suits)
      log::warn(cat(flag, " has no effect: the source is ", printable(o.source.front())));
  };
  warn_of("-camera", o.source.empty());
  warn_of("-fps", is_camera(kind) || kind == SourceKind::images);
  if (command.at("-iou_thresh").given() && !o.track)
    log::warn("-iou_thresh has no effect without -track, whose objects it finds again");
  const ServerOptions& s = o.server;
  if (command.at("-bind").given() && s.image_port < 0 && s.json_port < 0)
    throw Error("-bind needs -mjpeg_port or -json_port: without them nothing is served", 2);
  if (s.image_port > 0 && s.image_port == s.json_port)
    throw Error(
        cat("-mjpeg_port and -json_port are both ", s.json_port, ": give one of them another port"),
        2);
}

// Flags of other Darknet forks' demos that have no effect here.
void add_demo_compatibility_flags(const Command& command) {
  add_compatibility_flags(command);
  add_ignored(command, {"-http_post_host", true, "-json_port serves what is found as a stream"});
}

}  // namespace

void add_detector_demo(Program& program) {
  const Command command =
      program.command("detector demo", "detect objects in a video, a camera's image or a stream");
  auto& o = command.options<DemoOptions>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  add_source_flags(command, o);
  add_detection_flags(command, o);
  add_output_flags(command, o);
  add_demo_compatibility_flags(command);
  command.footer(
      "Keys of the window: q or Esc quits, space pauses, s saves the image, + and - change the "
      "threshold.");
  command.runs([&o, command] {
    check_flags(command, o);
    return run_demo(o);
  });
}

}  // namespace darknet::cli
