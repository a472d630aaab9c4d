// darknet detector demo data cfg weights [source]
#include <memory>

#include "cli/command.h"
#include "cli/demo.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/log.h"

namespace darknet::cli {
namespace {

constexpr int kMaxPort = 65535, kMaxSide = 1 << 16, kMaxFrames = 1000;

void add_source_flags(CLI::App& app, DemoOptions& o) {
  app.add_option("source", o.source,
                 "a video file, a stream (rtsp://, http://), or images: files, folders, patterns, "
                 ".txt lists; synth: is a moving synthetic scene (docs/demo.md); none: the camera");
  app.add_option("-c,--camera", o.camera, "number of the camera")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--width", o.camera_settings.width, "of the camera's image")
      ->check(CLI::Range(1, kMaxSide));
  app.add_option("--height", o.camera_settings.height, "of the camera's image")
      ->check(CLI::Range(1, kMaxSide));
  app.add_option("--fps", o.camera_settings.fps, "frames a second of the camera, or of images (25)")
      ->check(between(.01, 1000));
  app.add_option("--reconnect", o.reconnect,
                 "seconds to reconnect to a camera or stream that was lost; 0: end at once")
      ->check(between(0, 1e6))
      ->capture_default_str();
  app.add_option("--time_limit_sec", o.time_limit_sec, "end after so many seconds")
      ->check(between(0, 1e9));
}

void add_detection_flags(CLI::App& app, DemoOptions& o) {
  add_threshold_flags(app, o);
  app.add_option("--avgframes", o.avgframes, "average what is found over so many frames")
      ->check(CLI::Range(1, kMaxFrames))
      ->capture_default_str();
  app.add_flag("--track", o.track, "number the objects and count them");
  app.add_option("--detectors", o.detectors,
                 "networks at work at once, on different frames (files: one per core, at most 4; "
                 "live: 1)")
      ->check(CLI::Range(1, 64));
  add_network_flags(app, o);
}

void add_output_flags(CLI::App& app, DemoOptions& o) {
  app.add_option("--out_filename", o.out_filename,
                 "write the annotated video: .mp4, .mov, .avi, .mkv, .webm");
  app.add_option("--codec", o.codec, "four letters, such as mp4v, avc1, MJPG");
  app.add_option("--prefix", o.prefix, "write every frame as PREFIX_00000001.jpg");
  app.add_option(
      "--json_file_output", o.json_file_output,
      "write what is found: x.json is one array, any other name (x.jsonl) one object a line");
  app.add_flag("--json_array", o.json_array, "of -json_file_output: one array, whatever its name");
  app.add_option("--mjpeg_port", o.server.image_port,
                 "serve a web page and the images as MJPEG; 0: any free port")
      ->check(CLI::Range(-1, kMaxPort));
  app.add_option("--json_port", o.server.json_port,
                 "serve what is found as a stream of JSON lines; 0: any free port")
      ->check(CLI::Range(-1, kMaxPort));
  app.add_option("--bind", o.server.bind, "address that is served; 0.0.0.0: every machine may look")
      ->capture_default_str();
  app.add_flag("--ext_output", o.ext_output, "print the boxes of every frame in pixels");
  app.add_flag("--dont_show", o.dont_show, "open no window");
  app.add_flag("--dontdraw_bbox", o.dontdraw_bbox, "draw no boxes");
  app.add_flag("--no_overlay", o.no_overlay, "draw no figures");
  app.add_flag("--benchmark", o.benchmark, "only detect, as fast as it goes, and print the times");
}

// Flags of other Darknet forks' demos that change nothing here.
void add_demo_habits(CLI::App& app) {
  add_darknet_habits(app);
  for (const char* flag : {"--hier", "-s", "--iou_thresh", "--http_post_host"})
    app.add_option_function<std::string>(
           flag,
           [flag](const std::string&) {
             log::warn(cat(flag, ": ignored: it has no meaning here"));
           },
           "has no meaning here")
        ->group("Accepted from the Darknet forks");
}

}  // namespace

void add_detector_demo(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "demo"},
                             "detect objects in a video, a camera's image or a stream");
  const auto o = std::make_shared<DemoOptions>();  // outlives this call, in CLI11's callbacks
  add_positionals(app, *o, Positionals::data_cfg_weights);
  add_source_flags(app, *o);
  add_detection_flags(app, *o);
  add_output_flags(app, *o);
  add_demo_habits(app);
  app.footer(
      "Keys of the window: q or Esc quits, space pauses, s saves the image, + and - change "
      "the threshold.");
  app.final_callback([o, &run] { run = [o] { return run_demo(*o); }; });
}

}  // namespace darknet::cli
