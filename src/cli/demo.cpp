#include "cli/demo.h"

#include <fmt/core.h>

#include <atomic>
#include <mutex>
#include <optional>

#include "cfg/data_file.h"
#include "cli/demo_source.h"
#include "cli/open_network.h"
#include "cli/predict_images.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "core/threads.h"
#include "dataset/hidden_classes.h"
#include "detect/smooth.h"
#include "image/draw.h"
#include "train/interrupt.h"
#include "video/annotate.h"
#include "video/pace.h"
#include "video/recorder.h"
#include "web/http_address.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr double kUnknownFps = 25;
constexpr float kUnsure = .5f;    // of the threshold; with -track, what may continue a track
constexpr int kMaxDetectors = 4;  // each has a network of its own in memory
constexpr milliseconds kGlance(50);
constexpr float kThresholdStep = .05f;

// Networks for frames that are worked on at the same time, each on its share of the cores.
std::vector<Network> open_networks(const DemoOptions& o, int detectors, std::uint64_t& checksum) {
  std::vector<Network> nets;
  const std::int64_t batch = batch_for(o.tiling, o.device, 1);
  nets.push_back(open_network(o, batch, &checksum));
  const log::WithoutWarnings quiet;  // the first network gave those of the cfg
  while (static_cast<int>(nets.size()) < detectors) nets.push_back(open_network(o, batch));
  return nets;
}

// Single threads waste nothing on waiting for each other, so frames of a file are best detected
// several at a time; of a live source the newest matters, and all cores hurry for it. A GPU works
// for one thread at a time.
int detectors_of(const DemoOptions& o, const VideoFormat& format) {
  if (o.device.type != DeviceType::cpu) return 1;
  if (o.detectors > 0) return o.detectors;
  return format.live ? 1 : std::min(core_count(), kMaxDetectors);
}

class Demo {
 public:
  explicit Demo(const DemoOptions&);
  int run();

 private:
  PipelineStages stages();
  std::vector<Detection> detect(std::size_t worker, const Frame&);
  void finish(Frame&);  // of the draw stage
  void draw(Frame&);
  void print(const Frame&) const;
  void output(const FinishedFrame&);
  void write_video(const Frame&);
  void watch(Pipeline&);  // until the end
  void show(Pipeline&, Window&);
  std::unique_ptr<Window> open_window_if_asked() const;
  void print_addresses() const;
  void print_end(const VideoSummary&) const;
  void print_outputs(std::int64_t frames) const;
  void press(int key, const Frame*);
  bool stop_requested() const;
  void print_progress(const VideoSummary&) const;
  float network_threshold() const { return tracker_ ? kUnsure * threshold() : threshold(); }
  float threshold() const { return threshold_; }

  DemoOptions options_;
  InterruptGuard interrupt_{"the frames"};
  std::atomic<float> threshold_;
  std::unique_ptr<VideoSource> source_;
  VideoFormat format_;
  std::vector<Network> nets_;
  std::atomic<bool> checked_ = false;  // the first outputs, for numbers that are not finite
  ConfidenceMap calibration_;
  int threads_of_detector_ = 1;
  std::vector<std::string> names_;
  Smoother smoother_;
  std::optional<Tracker> tracker_;
  std::optional<Recorder> recorder_;
  std::optional<FrameServer> server_;
  std::optional<SteadyPace> pace_;
  std::unique_ptr<VideoWriter> writer_;  // from the first frame on, which has the size
  VideoStatistics statistics_;
  Frame::Clock::time_point start_ = Frame::Clock::now();
  bool images_needed_ = false;  // somebody looks at the drawn frames
  bool paused_ = false;
  std::atomic<bool> quit_ = false;
};

void check_detectors(const DemoOptions& o) {
  if (o.detectors > 1 && o.device.type != DeviceType::cpu)
    throw Error(cat("-detectors ", o.detectors, ": a network on ", to_string(o.device),
                    " uses the whole GPU, and several would only wait for each other; "
                    "leave -detectors out, or add -nogpu"),
                2);
}

fs::path image_of_frame(const std::string& prefix, std::int64_t number) {
  return fmt::format("{}_{:08}.jpg", prefix, number);
}

// How many frames there will be is not known, so all that stands in the place of one counts.
void check_images_of_frames(const std::string& prefix) {
  require_writable_file(image_of_frame(prefix, 1), kAnnotatedFormat);
  constexpr std::size_t kDigits = 8;
  const fs::path folder = fs::path(prefix).parent_path();
  const std::string beginning = fs::path(prefix).filename().string() + "_";
  for (const fs::path& path : entries_of(folder.empty() ? "." : folder)) {
    const std::string name = path.filename().string();
    if (!name.starts_with(beginning) || path.extension() != ".jpg") continue;
    const std::string number = path.stem().string().substr(beginning.size());
    if (number.size() >= kDigits && number.find_first_not_of("0123456789") == number.npos)
      require_format(folder / name, kAnnotatedFormat);
  }
}

// Before the source is opened and the networks are read.
void check_outputs(const DemoOptions& o) {
  add_sources(o, run_inputs());  // a recording over its own source would destroy both
  if (!o.out_filename.empty()) require_writable_file(o.out_filename, kVideoFormat);
  if (!o.json_file_output.empty()) require_writable_file(o.json_file_output, record_format());
  if (!o.prefix.empty()) check_images_of_frames(o.prefix);
}

// Where all frames have one size.
void check_tiles(const Tiling& t, const VideoFormat& f) {
  if (t.on() && f.width > 0 && tiles_of(t, {f.width, f.height}).empty())
    fail("-tile ", t.width, "x", t.height, ": frames of ", f.width, " x ", f.height,
         " are no larger than a tile; give a smaller one, or leave -tile out");
}

Demo::Demo(const DemoOptions& o)
    : options_(o), threshold_(o.thresh), smoother_(to_size(o.avgframes)) {
  check_detectors(o);
  const DataFile data = open_data(options_, ListedFiles::none);
  check_outputs(o);
  source_ = open_source(o, [this] { return stop_requested(); });
  if (!source_) return;
  format_ = source_->format();
  check_tiles(o.tiling, format_);
  if (format_.fps <= 0) format_.fps = kUnknownFps;
  std::uint64_t checksum = 0;
  nets_ = open_networks(options_, detectors_of(o, format_), checksum);
  for (const Network& net : nets_) require_video_input(net);
  if (o.calibrate) calibration_ = stored_calibration(options_, nets_.front(), checksum);
  // OMP_NUM_THREADS counts here too.
  threads_of_detector_ =
      std::max(1, std::min(core_count(), launch_threads()) / static_cast<int>(nets_.size()));
  names_ = class_names(nets_.front(), data);
  for (const Network& net : nets_) find_labels(net, data.classes);
  if (o.track)
    tracker_.emplace(TrackerSettings{.frames_to_keep = std::llround(std::max(1., format_.fps)),
                                     .min_overlap = o.track_overlap});
  if (!o.json_file_output.empty())
    recorder_.emplace(o.json_file_output,
                      o.json_array ? RecordFormat::array : record_format_of(o.json_file_output));
  if (o.server.image_port >= 0 || o.server.json_port >= 0) server_.emplace(o.server);
  if (format_.live) pace_.emplace(format_.fps);
}

PipelineStages Demo::stages() {
  PipelineStages s;
  s.capture = [this](Image& image) { return !stop_requested() && source_->read(image); };
  s.prepare = [this, shape = nets_.front().input_shape(),
               letter_box = nets_.front().settings().letter_box,
               max = nets_.front().settings().input_max](const Image& image) {
    if (options_.tiling.on()) return PreparedImage{};  // tiles are cut one after the other
    const Stream serial{.threads = 1};
    if (shape.c == 1) return prepare_image(serial, grey_of(image), shape, letter_box, max);
    return prepare_image(serial, image, shape, letter_box, max);
  };
  for (std::size_t i = 0; i < nets_.size(); ++i)
    s.detect.emplace_back([this, i](const Frame& frame) { return detect(i, frame); });
  s.draw = [this](Frame& frame) { finish(frame); };
  s.output = [this](const FinishedFrame& frame) { output(frame); };
  return s;
}

std::vector<Detection> Demo::detect(std::size_t worker, const Frame& frame) {
  limit_threads(threads_of_detector_);
  Network& net = nets_[worker];
  const DetectionOptions how{network_threshold(), options_.nms, calibration_, options_.tiling};
  std::vector<Detection> found;
  if (!how.tiling.on())
    found = darknet::detect(net, frame.prepared, how);
  else if (net.input_shape().c == 1)
    found = darknet::detect(net, grey_of(frame.image), how);
  else
    found = darknet::detect(net, frame.image, how);
  if (!checked_.exchange(true)) require_finite_outputs(nets_[worker]);
  return found;
}

void Demo::finish(Frame& frame) {
  frame.prepared = {};
  auto steady = smoother_.next(frame.detections, network_threshold());
  remove_hidden(steady, names_);
  if (tracker_)
    frame.found = tracker_->next(steady, threshold());
  else
    for (const Detection& d : steady)
      if (d.probability >= threshold()) frame.found.push_back({d});
  if (recorder_ || server_) frame.line = frame_json(frame, names_);
  if (server_)
    frame.state =
        state_json(frame, names_, statistics_.summary(),
                   tracker_ ? tracker_->counts() : std::map<std::int32_t, std::int64_t>());
  if (images_needed_) draw(frame);
}

void Demo::draw(Frame& frame) {
  frame.image = displayed(std::move(frame.image));  // the network took what has more bits
  std::vector<std::string> figures;
  if (!options_.no_overlay) figures = overlay_lines(statistics_.summary(), format_.live);
  if (!options_.dontdraw_bbox)
    draw_found(frame.image, frame.found, names_, {Crowded::key, panel_area(frame.image, figures)});
  draw_panel(frame.image, figures);
}

void Demo::print(const Frame& frame) const {
  std::string text = fmt::format("frame {}:", frame.number);
  for (const TrackedDetection& t : frame.found)
    text +=
        fmt::format("\n{}{}", caption_of(t, names_), box_in_pixels(t.detection.box, frame.image));
  log::info(text);  // frame by frame, for a program that reads it through a pipe
}

void Demo::write_video(const Frame& frame) {
  const Image& image = frame.image;
  if (!writer_)
    writer_ = create_video(options_.out_filename, {.fps = format_.fps,
                                                   .codec = options_.codec,
                                                   .width = image.width,
                                                   .height = image.height});
  for (auto copies = pace_ ? pace_->copies(frame.seconds) : 1; copies > 0; --copies)
    writer_->write(image);
}

void Demo::output(const FinishedFrame& frame) {
  if (recorder_) recorder_->add(frame->line);  // before the frame is seen anywhere
  if (options_.ext_output) print(*frame);
  if (server_) server_->publish(frame);
  if (!options_.prefix.empty()) {
    const fs::path to = image_of_frame(options_.prefix, frame->number);
    require_format(to, kAnnotatedFormat);  // it may have come after the run began
    write_annotated_image(to, frame->image);
  }
  if (!options_.out_filename.empty()) write_video(*frame);
}

bool Demo::stop_requested() const {
  const std::chrono::duration<double> since = Frame::Clock::now() - start_;
  return quit_ || interrupt_.requested() ||
         (options_.time_limit_sec > 0 && since.count() > options_.time_limit_sec);
}

void Demo::print_progress(const VideoSummary& s) const {
  log::progress(fmt::format("frame {}, {:.1f} frames/s, latency {:.0f} ms, {} dropped", s.frames,
                            s.recent_fps, s.recent_latency, s.dropped),
                false);
}

void Demo::press(int key, const Frame* frame) {
  constexpr int kEscape = 27;
  if (key == 'q' || key == kEscape) quit_ = true;
  if (key == ' ') paused_ = !paused_;
  if (key == '+' || key == '=') threshold_ = std::min(threshold() + kThresholdStep, 1.f);
  if (key == '-' || key == '_') threshold_ = std::max(threshold() - kThresholdStep, 0.f);
  if (key == 's' && frame) {
    const std::string to = fmt::format("snapshot_{:08}.png", frame->number);
    write_image(to, frame->image);
    log::info("-> " + to);
  }
}

// A file is shown at its own speed. While it pauses nobody takes its frames, and all work rests; a
// live source continues behind the still image.
void Demo::show(Pipeline& pipeline, Window& window) {
  const milliseconds step(format_.live ? 1 : std::max(1, static_cast<int>(1000 / format_.fps)));
  FinishedFrame shown;
  auto due = Frame::Clock::now();
  while (!stop_requested()) {
    const auto frame = paused_ ? std::nullopt : pipeline.next_shown(kGlance);
    if (frame) window.show((shown = *frame)->image);
    if (!frame && !paused_ && pipeline.finished(milliseconds(0))) return;
    due = std::max(due + step, Frame::Clock::now());
    do {
      const auto left = std::chrono::duration_cast<milliseconds>(due - Frame::Clock::now());
      press(window.key(static_cast<int>(std::max(left, milliseconds(1)).count())), shown.get());
    } while (Frame::Clock::now() < due && !stop_requested());
    print_progress(statistics_.summary());
  }
}

void Demo::watch(Pipeline& pipeline) {
  while (!pipeline.finished(kGlance) && !stop_requested()) print_progress(statistics_.summary());
}

void Demo::print_end(const VideoSummary& s) const {
  if (s.frames == 0 && !stop_requested())
    fail(options_.source.empty() ? "the camera" : options_.source.front(),
         ": no frame of it can be read");
  constexpr double kNearlyAll = .95;  // containers report lengths that are not exact
  const std::int64_t skipped = source_->skipped();
  if (!stop_requested() &&
      static_cast<double>(s.frames + skipped) < kNearlyAll * static_cast<double>(format_.frames))
    log::warn(cat(options_.source.front(), ": ended after ", s.frames, " of the ", format_.frames,
                  " frames that it reports"));
  log::info(describe(s, core_count()));
  if (skipped > 0)
    log::info(cat(skipped, " of ", plural(format_.frames, "image"), " could not be read"));
}

void Demo::print_outputs(std::int64_t frames) const {
  if (frames == 0) return;
  for (const std::string& file : {options_.out_filename, options_.json_file_output})
    if (!file.empty()) log::info("-> " + printable(file));
  if (!options_.prefix.empty())
    log::info(
        fmt::format("-> {0}_00000001.jpg to {0}_{1:08}.jpg", printable(options_.prefix), frames));
}

std::unique_ptr<Window> Demo::open_window_if_asked() const {
  if (options_.dont_show || options_.benchmark) return nullptr;
  if (has_display()) return open_window("Darknet Focal");
  log::warn("no window is opened: there is no display, or no OpenCV (-dont_show asks for none)");
  return nullptr;
}

void Demo::print_addresses() const {
  const auto print = [&](const char* what, int port) {
    if (port >= 0) log::info(cat(what, ": ", url_of(options_.server.bind, port)));
  };
  print("images", server_->image_port());
  print("JSON", server_->json_port());
}

int Demo::run() {
  if (!source_) {
    log::info("ended while waiting for the source");
    return interrupt_.exit_code();
  }
  const auto window = open_window_if_asked();
  images_needed_ = window || !options_.out_filename.empty() || !options_.prefix.empty() ||
                   options_.server.image_port >= 0;
  if (server_) print_addresses();
  Pipeline pipeline(stages(),
                    {.live = format_.live, .shown = window != nullptr, .fps = format_.fps},
                    statistics_);
  if (window)
    show(pipeline, *window);
  else
    watch(pipeline);
  pipeline.stop();
  try {
    while (pipeline.next_shown(kGlance)) continue;
    pipeline.join();
  } catch (...) {
    writer_.reset();  // a video gets its index, also where the source was lost
    throw;
  }
  log::end_progress();
  if (writer_) writer_->close();
  writer_.reset();
  print_end(statistics_.summary());
  print_outputs(statistics_.summary().frames);
  if (interrupt_.requested()) return interrupt_.exit_code();
  return source_->skipped() > 0 ? 1 : 0;
}

}  // namespace

int run_demo(const DemoOptions& options) { return Demo(options).run(); }

}  // namespace darknet::cli
