#include "cli/predict_images.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <exception>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "cli/common_flags.h"
#include "cli/image_arguments.h"
#include "cli/open_network.h"
#include "cli/prediction_files.h"
#include "cli/results.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/check.h"
#include "dataset/hidden_classes.h"
#include "dataset/image_list.h"
#include "eval/predict.h"
#include "image/image.h"
#include "train/interrupt.h"
#include "video/annotate.h"

namespace darknet::cli {

std::string box_in_pixels(const Box& box, const Image& image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  return fmt::format("\t(left_x: {:4}   top_y: {:4}   width: {:4}   height: {:4})",
                     std::lround(box.left() * w), std::lround(box.top() * h),
                     std::lround(box.w * w), std::lround(box.h * h));
}

namespace {
namespace fs = std::filesystem;

// Ctrl-C is not to wait for the next line of standard input.
void let_signals_end_reads() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct ::sigaction action {};
    ::sigaction(signal, nullptr, &action);
    action.sa_flags &= ~SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

struct Prediction {
  fs::path path, annotated;  // annotated: where the image with its boxes goes
  Image image;
  std::vector<Detection> found;
};

class Predictor {
 public:
  Predictor(const PredictOptions& o, PredictionFiles& files)
      : options_(o),
        files_(files),
        net_(open_network(o, batch_for(o.tiling, o.device, 1), &checksum_)) {
    detection_ = detection_options(o);
    detection_.tiling = o.tiling;
    if (o.calibrate) detection_.calibration = stored_calibration(o, net_, checksum_);
    files_.set_names(o.data_file ? class_names(net_, *o.data_file)
                                 : class_names(net_, o.names, o.shipped_names));
  }

  // False where this image cannot be read. What cannot be written ends the run.
  bool run(const ImagePaths& images, std::size_t i);
  bool run_all(const ImagePaths& images);                   // false where one of them failed
  bool run_typed();                                         // paths from standard input; the same
  bool run_line(const std::string& line);                   // one of them
  int exit_code() const { return interrupt_.exit_code(); }  // 0: it was not interrupted

 private:
  Prediction predict(const ImagePaths& images, std::size_t i);
  void output(Prediction);
  static bool report(const Error&);  // on a line of its own; false
  std::string highest() const;       // score, for the message that nothing was found
  void warn_of_uncut(const Prediction&) const;
  void warn_of_range(const Prediction&);  // once
  void print(const std::vector<Detection>& found, const Image& image) const;
  void draw(Image& image, const std::vector<Detection>& found) const;
  std::string name(const Detection& d) const {
    return printable(files_.names()[to_size(d.class_id)]);
  }

  PredictOptions options_;
  PredictionFiles& files_;
  std::uint64_t checksum_ = 0;  // of the weights
  Network net_;
  DetectionOptions detection_;
  bool warned_of_range_ = false;
  InterruptGuard interrupt_{"the image"};  // from here on: what was found so far is written
};

void Predictor::print(const std::vector<Detection>& found, const Image& image) const {
  for (const Detection& d : found) {
    fmt::print("{}: {:.0f}%", name(d), 100 * d.probability);
    fmt::print("{}\n", options_.ext_output ? box_in_pixels(d.box, image) : "");
  }
}

void Predictor::draw(Image& image, const std::vector<Detection>& found) const {
  constexpr std::size_t kMaxDrawn = 300;
  std::vector<TrackedDetection> untracked;  // the highest-scoring first
  untracked.reserve(found.size());
  for (const Detection& d : found) untracked.push_back({d});
  if (untracked.size() > kMaxDrawn) {
    std::stable_sort(untracked.begin(), untracked.end(), [](const auto& a, const auto& b) {
      return a.detection.probability > b.detection.probability;
    });
    untracked.resize(kMaxDrawn);
    log::warn(cat("of ", found.size(), " boxes the ", kMaxDrawn,
                  " with the highest scores are drawn; a higher -thresh finds fewer"));
  }
  draw_found(image, untracked, files_.names());
}

void Predictor::warn_of_uncut(const Prediction& p) const {
  const Tiling& t = options_.tiling;
  if (t.on() && tiles_of(t, {p.image.width, p.image.height}).empty())
    log::warn(cat(printable(p.path.string()), ": not cut: its ", p.image.width, " x ",
                  p.image.height, " pixels are no more than a tile of ", t.width, " x ", t.height));
}

void Predictor::warn_of_range(const Prediction& p) {
  const std::string hint = warned_of_range_ ? "" : input_max_hint(p.image);
  if (hint.empty()) return;
  warned_of_range_ = true;
  log::warn(cat(printable(p.path.string()), ": ", hint));
}

Prediction Predictor::predict(const ImagePaths& images, std::size_t i) {
  const fs::path path = images[i];
  Prediction p{.path = path, .annotated = files_.begin(path)};
  p.image = read_listed_input(images, i, input_values(net_));
  warn_of_uncut(p);
  warn_of_range(p);
  const auto before = std::chrono::steady_clock::now();
  p.found = detect(net_, p.image, detection_);
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - before;
  require_finite_outputs(net_);
  fmt::print("{}: Predicted in {:.3f} milli-seconds.\n", printable(path.string()), ms.count());
  return p;
}

void Predictor::output(Prediction p) {
  const fs::path labels = files_.add({p.image.width, p.image.height}, p.found);
  if (p.found.empty())
    fmt::print("nothing found: no score is above the threshold {:.3g} (-thresh){}\n",
               options_.thresh, highest());
  remove_hidden(p.found, files_.names());
  print(p.found, p.image);
  p.image = displayed(std::move(p.image));
  draw(p.image, p.found);
  files_.write(p.annotated, p.image);
  fmt::print("-> {}\n", printable(p.annotated.string()));
  if (!labels.empty()) fmt::print("-> {}\n", printable(labels.string()));
  if (!options_.dont_show) show_image(p.path.string(), p.image);
}

// Of tiles, the network knows only the last ones.
std::string Predictor::highest() const {
  if (options_.tiling.on()) return {};
  return fmt::format("; the highest is {:.3f}", detection_.calibration(highest_probability(net_)));
}

bool Predictor::report(const Error& e) {
  fmt::print("\n");
  std::fflush(stdout);
  log::error(e.what());
  return false;
}

bool Predictor::run(const ImagePaths& images, std::size_t i) {
  Prediction p;
  try {
    p = predict(images, i);
  } catch (const Error& e) {
    return report(e);
  }
  output(std::move(p));
  return true;
}

bool Predictor::run_line(const std::string& line) {
  ImagePaths images;
  try {
    images = images_typed(line, options_.recursive);
  } catch (const Error& e) {
    return report(e);
  }
  bool good = true;
  for (std::size_t i = 0; i < images.size() && !interrupt_.requested(); ++i) good &= run(images, i);
  return good;
}

bool Predictor::run_typed() {
  let_signals_end_reads();
  bool good = true;
  LineReader lines(std::cin, "standard input");
  for (std::string_view line; !interrupt_.requested() && (fmt::print("Enter Image Path: "),
                                                          std::fflush(stdout), lines.next(line));) {
    if (line.empty()) continue;
    good &= run_line(std::string(line));  // a typing error is no reason to load the network again
  }
  fmt::print("\n");
  return good;
}

bool Predictor::run_all(const ImagePaths& images) {
  if (images.size() == 1) {
    output(predict(images, 0));
    return true;
  }
  bool good = true;
  const auto before = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < images.size() && !interrupt_.requested(); ++i) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - before;
    const double left =
        i == 0 ? 0
               : spent.count() / static_cast<double>(i) * static_cast<double>(images.size() - i);
    fmt::print("[{}/{}{}] ", i + 1, images.size(), i == 0 ? "" : ", ETA " + log::duration(left));
    good &= run(images, i);  // the others may be sound
  }
  return good;
}

}  // namespace

void add_predict_arguments(const Command& command, PredictOptions& o, Positionals network) {
  add_positionals(command, o, network);
  command.argument(
      "images", o.images,
      "images, folders, patterns, .txt lists of images; none: paths from standard input");
  add_threshold_flags(command, o);
  add_hier(command, o.hier);
  add_tile_flags(command, o.tiling);
  command.flag("-ext_output", o.ext_output, "print the boxes in pixels");
  const Option out =
      command.option("-out", o.out, "write all detections to this file or folder, see -format");
  add_format(command, o.format).show_default().needs(out);
  command.flag("-recursive", o.recursive, "the images in folders of a folder too");
  command.option(
      "-prefix", o.prefix,
      "the annotated image, NAME or NAME.jpg, .png, .bmp; of several, and x/ of one: the folder");
  const Option labels =
      command.flag("-save_labels", o.save_labels,
                   "write the detections as label files: in labels/, or next to the images");
  command.flag("-replace_labels", o.replace_labels, "also in place of label files that exist")
      .needs(labels);
  command.flag("-dont_show", o.dont_show, "open no window");
  add_network_flags(command, o);
  add_compatibility_flags(command);
  command.footer(
      cat(kImageIds, " Of images from standard input they are the place in the order given."));
}

int predict_images(const PredictOptions& o) {
  const bool open_end = o.images.empty();
  const auto images = images_of(o.images, o.recursive);
  PredictionFiles files(o, images, open_end);  // which checks them before the work
  Predictor predictor(o, files);
  bool good = false;
  std::exception_ptr closed;
  try {
    good = open_end ? predictor.run_typed() : predictor.run_all(images);
  } catch (const std::system_error& e) {  // a closed terminal, whose SIGHUP may be on its way
    if (e.code().value() != EIO && predictor.exit_code() == 0) throw;
    closed = std::current_exception();
  }
  files.finish();
  for (const fs::path& path : files.outputs())  // also where the terminal was closed meanwhile
    log::info("-> " + printable(path.string()));
  if (predictor.exit_code() == 0 && closed) std::rethrow_exception(closed);
  if (predictor.exit_code() == 0) return good ? 0 : 1;
  report_interrupted(files.images(), open_end ? std::nullopt : std::optional(images.size()), o.out);
  return predictor.exit_code();
}

}  // namespace darknet::cli
