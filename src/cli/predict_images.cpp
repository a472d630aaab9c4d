#include "cli/predict_images.h"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/open_network.h"
#include "cli/picture_arguments.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/detection_files.h"
#include "eval/predict.h"
#include "image/image.h"
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
using nlohmann::json;

// Names without folder and ending; pictures of different folders may share one.
class UnusedNames {
 public:
  std::string of(const fs::path& picture) {
    const std::string stem = picture.stem().string();
    std::string name = stem;
    for (int i = 2; !used_.insert(name).second; ++i) name = fmt::format("{}-{}", stem, i);
    return name;
  }

 private:
  std::set<std::string> used_;
};

// What was found in the pictures so far.
struct Found {
  ImageSet set;
  std::vector<std::vector<Detection>> detections;
};

// The layout of AlexeyAB's -out files.
json darknet_json(const Found& found) {
  json frames = json::array();
  for (std::size_t i = 0; i < found.detections.size(); ++i) {
    json objects = json::array();
    auto shown = found.detections[i];
    remove_hidden(shown, found.set.names);
    for (const Detection& d : shown) objects.push_back(darknet_object(d, found.set.names));
    frames.push_back(
        {{"frame_id", i + 1}, {"filename", found.set.images[i].string()}, {"objects", objects}});
  }
  return frames;
}

void write_voc(const fs::path& folder, const Found& found) {
  require_writable_folder(folder);
  for (std::size_t k = 0; k < found.set.names.size(); ++k)
    write_file_atomically(folder / voc_file_name("comp4_det_test_", found.set.names[k]),
                          voc_results(found.set, found.detections, static_cast<std::int64_t>(k)));
}

void write_labels(const fs::path& folder, const Found& found) {
  require_writable_folder(folder);
  UnusedNames names;
  for (std::size_t i = 0; i < found.detections.size(); ++i)
    write_file_atomically(folder / (names.of(found.set.images[i]) + ".txt"),
                          label_lines(found.detections[i], true));
}

void write(const PredictOptions& o, const Found& found) {
  if (o.format == "voc")
    write_voc(o.out, found);
  else if (o.format == "yolo")
    write_labels(o.out, found);
  else if (o.format == "coco")
    write_file_atomically(o.out, coco_results(found.set, found.detections));
  else
    write_file_atomically(
        o.out, darknet_json(found).dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

class Predictor {
 public:
  Predictor(const PredictOptions& o, const std::string& names)
      : options_(o),
        net_(open_network(opened(o))),
        found_{{.names = class_names(net_, names, o.shipped_names)}, {}} {}

  void run(const fs::path& path, bool several);
  bool run_all(const std::vector<fs::path>& images);  // false where one of them failed
  bool run_typed();  // paths from standard input; false where one of them failed
  void finish() const;

 private:
  static OpenOptions opened(const PredictOptions& o) {
    OpenOptions open{
        .cfg = o.cfg, .weights = o.weights, .overrides = o.overrides, .exact = o.exact};
    open.letter_box = o.letter_box, open.device = o.device, open.tuning = o.tuning;
    return open;
  }
  void print(const std::vector<Detection>& found, const Image& image) const;
  void draw(Image& image, const std::vector<Detection>& found) const;
  void save_labels(const fs::path& path, const std::vector<Detection>& found) const;
  fs::path picture_path(const fs::path& path, bool several);
  const std::string& name(const Detection& d) const {
    return found_.set.names[static_cast<std::size_t>(d.class_id)];
  }

  PredictOptions options_;
  Network net_;
  Found found_;
  UnusedNames unused_;
};

void Predictor::print(const std::vector<Detection>& found, const Image& image) const {
  for (const Detection& d : found) {
    fmt::print("{}: {:.0f}%", name(d), 100 * d.probability);
    fmt::print("{}\n", options_.ext_output ? box_in_pixels(d.box, image) : "");
  }
}

void Predictor::save_labels(const fs::path& path, const std::vector<Detection>& found) const {
  const fs::path to = fs::path(path).replace_extension(".txt");
  if (fs::exists(to)) fail_at({to.string(), 0}, "-save_labels writes over no label file");
  write_file_atomically(to, label_lines(found, false));
}

fs::path Predictor::picture_path(const fs::path& path, bool several) {
  const std::string prefix = options_.prefix.empty() ? "predictions" : options_.prefix;
  if (!several) return prefix + ".jpg";
  fs::create_directories(prefix);
  return fs::path(prefix) / (unused_.of(path) + ".jpg");
}

void Predictor::draw(Image& image, const std::vector<Detection>& found) const {
  std::vector<TrackedDetection> untracked;  // the surest first
  for (const Detection& d : found) untracked.push_back({d});
  draw_found(image, untracked, found_.set.names);
}

void Predictor::run(const fs::path& path, bool several) {
  Image image = read_image(path, net_.settings().channels);
  const auto before = std::chrono::steady_clock::now();
  auto found = detect(net_, image, {options_.threshold, options_.nms});
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - before;
  fmt::print("{}: Predicted in {:.3f} milli-seconds.\n", path.string(), ms.count());
  found_.set.images.push_back(path);
  found_.set.sizes.push_back({image.width, image.height});
  found_.detections.push_back(found);
  if (options_.save_labels) save_labels(path, found);
  remove_hidden(found, found_.set.names);
  print(found, image);
  draw(image, found);
  const fs::path to = picture_path(path, several);
  if (fs::exists(to) && fs::equivalent(to, path))
    fail_at({to.string(), 0},
            "the annotated picture would replace the picture; give another -prefix");
  write_image(to, image);
  fmt::print("-> {}\n", to.string());
  if (!options_.dont_show) show_image(path.string(), image);
}

bool Predictor::run_typed() {
  bool good = true;
  for (std::string line;
       fmt::print("Enter Image Path: "), std::fflush(stdout), std::getline(std::cin, line);) {
    const auto path = trim(line);
    if (path.empty()) continue;
    try {
      run(fs::path(path), true);
    } catch (const Error& e) {  // a typing error is no reason to load the network again
      log::error(e.what());
      good = false;
    }
  }
  fmt::print("\n");
  return good;
}

bool Predictor::run_all(const std::vector<fs::path>& images) {
  if (images.size() == 1) {
    run(images.front(), false);
    return true;
  }
  bool good = true;
  const auto before = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - before;
    const double left =
        i == 0 ? 0
               : spent.count() / static_cast<double>(i) * static_cast<double>(images.size() - i);
    fmt::print("[{}/{}{}] ", i + 1, images.size(), i == 0 ? "" : ", ETA " + log::duration(left));
    try {
      run(images[i], true);
    } catch (const Error& e) {  // the others may be sound
      fmt::print("\n");
      std::fflush(stdout);
      log::error(e.what());
      good = false;
    }
  }
  return good;
}

void Predictor::finish() const {
  if (!options_.out.empty()) write(options_, found_);
}

}  // namespace

void add_predict_flags(CLI::App& app, PredictOptions& o) {
  add_thresholds(app, o.threshold, o.nms);
  app.add_flag("--ext_output", o.ext_output, "print the boxes in pixels");
  app.add_option("--out", o.out, "write all detections to this file, or folder for voc and yolo");
  app.add_option("--format", o.format,
                 "of -out: darknet or coco (JSON), voc (comp4 files), yolo (label files)")
      ->check(CLI::IsMember({"darknet", "coco", "voc", "yolo"}))
      ->capture_default_str();
  app.add_flag("--recursive", o.recursive, "the pictures in folders of a folder too");
  app.add_option("--prefix", o.prefix,
                 "name of the annotated picture without .jpg; of several: their folder");
  app.add_flag("--save_labels", o.save_labels, "write the detections as label files");
  app.add_flag("--letter_box", o.letter_box, "keep the aspect ratio, grey bars around");
  app.add_flag("--dont_show", o.dont_show, "open no window");
  add_overrides(app, o.overrides);
  add_arithmetic(app, o.exact, o.overrides, o.tuning);
  add_device(app, o.device);
  add_darknet_habits(app);
}

int predict_images(const PredictOptions& o, const std::string& names) {
  const auto images = pictures_of(o.images, o.recursive);  // before the network is read
  Predictor predictor(o, names);
  const bool good = o.images.empty() ? predictor.run_typed() : predictor.run_all(images);
  predictor.finish();
  return good ? 0 : 1;
}

}  // namespace darknet::cli
