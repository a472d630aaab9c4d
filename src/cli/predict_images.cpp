#include "cli/predict_images.h"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/open_network.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "eval/predict.h"
#include "image/draw.h"
#include "image/image.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

std::vector<fs::path> images_of(const PredictOptions& o) {
  std::vector<fs::path> images;
  for (const std::string& given : o.images) {
    if (fs::path(given).extension() != ".txt") {
      images.emplace_back(given);
      continue;
    }
    const auto list = read_image_list(given);
    images.insert(images.end(), list.begin(), list.end());
  }
  return images;
}

class Predictor {
 public:
  Predictor(const PredictOptions& o, const std::string& names)
      : options_(o),
        net_(open_network(opened(o))),
        names_(class_names(net_, names, o.shipped_names)) {}

  void run(const fs::path& path, bool several);
  bool run_typed();  // paths from standard input; false where one of them failed
  void finish() const;

 private:
  static OpenOptions opened(const PredictOptions& o) {
    OpenOptions open{
        .cfg = o.cfg, .weights = o.weights, .overrides = o.overrides, .exact = o.exact};
    open.letter_box = o.letter_box;
    return open;
  }
  void print(const std::vector<Detection>& found, const Image& image) const;
  void draw(Image& image, const std::vector<Detection>& found) const;
  void add_json(const fs::path& path, const std::vector<Detection>& found);
  void save_labels(const fs::path& path, const std::vector<Detection>& found) const;
  fs::path picture_path(const fs::path& path, bool several) const;

  PredictOptions options_;
  Network net_;
  std::vector<std::string> names_;
  json json_ = json::array();
  std::set<fs::path> written_;
};

void Predictor::print(const std::vector<Detection>& found, const Image& image) const {
  for (const Detection& d : found) {
    const std::string& name = names_[static_cast<std::size_t>(d.class_id)];
    fmt::print("{}: {:.0f}%", name, 100 * d.probability);
    const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
    if (options_.ext_output)
      fmt::print("\t(left_x: {:4}   top_y: {:4}   width: {:4}   height: {:4})",
                 std::lround(d.box.left() * w), std::lround(d.box.top() * h),
                 std::lround(d.box.w * w), std::lround(d.box.h * h));
    fmt::print("\n");
  }
}

// The layout of AlexeyAB's -out files.
void Predictor::add_json(const fs::path& path, const std::vector<Detection>& found) {
  json objects = json::array();
  for (const Detection& d : found)
    objects.push_back(
        {{"class_id", d.class_id},
         {"name", names_[static_cast<std::size_t>(d.class_id)]},
         {"relative_coordinates",
          {{"center_x", d.box.x}, {"center_y", d.box.y}, {"width", d.box.w}, {"height", d.box.h}}},
         {"confidence", d.probability}});
  json_.push_back(
      {{"frame_id", json_.size() + 1}, {"filename", path.string()}, {"objects", objects}});
}

void Predictor::save_labels(const fs::path& path, const std::vector<Detection>& found) const {
  std::string text;
  for (const Detection& d : found)
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", d.class_id, d.box.x, d.box.y, d.box.w,
                        d.box.h);
  const fs::path to = fs::path(path).replace_extension(".txt");
  if (fs::exists(to)) fail_at({to.string(), 0}, "-save_labels writes over no label file");
  write_file_atomically(to, text);
}

fs::path Predictor::picture_path(const fs::path& path, bool several) const {
  const std::string prefix = options_.prefix.empty() ? "predictions" : options_.prefix;
  if (!several) return prefix + ".jpg";
  fs::create_directories(prefix);
  return fs::path(prefix) / path.filename().replace_extension(".jpg");
}

// Outlines first, captions over them, the surest on top.
void Predictor::draw(Image& image, const std::vector<Detection>& found) const {
  for (const Detection& d : found) draw_box(image, d.box, class_colour(d.class_id), "");
  for (auto d = found.rbegin(); d != found.rend(); ++d)
    draw_caption(image, d->box, class_colour(d->class_id),
                 fmt::format("{} {:.0f}%", names_[static_cast<std::size_t>(d->class_id)],
                             100 * d->probability));
}

void Predictor::run(const fs::path& path, bool several) {
  Image image = read_image(path, net_.settings().channels);
  const auto before = std::chrono::steady_clock::now();
  const auto found = detect(net_, image, {options_.threshold, options_.nms});
  const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - before;
  fmt::print("{}: Predicted in {:.3f} milli-seconds.\n", path.string(), ms.count());
  print(found, image);
  add_json(path, found);
  if (options_.save_labels) save_labels(path, found);
  draw(image, found);
  const fs::path to = picture_path(path, several);
  if (fs::exists(to) && fs::equivalent(to, path))
    fail_at({to.string(), 0},
            "the annotated picture would replace the picture; give another -prefix");
  if (!written_.insert(to).second)
    fail_at({to.string(), 0}, "two of the pictures have this name; give them in separate calls");
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
      written_.clear();  // asking for a picture again is fine
      run(fs::path(path), true);
    } catch (const Error& e) {  // a typing error is no reason to load the network again
      log::error(e.what());
      good = false;
    }
  }
  fmt::print("\n");
  return good;
}

void Predictor::finish() const {
  if (!options_.out.empty())
    write_file_atomically(options_.out,
                          json_.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace

void add_predict_flags(CLI::App& app, PredictOptions& o) {
  app.add_option("--thresh", o.threshold, "least probability of a detection")
      ->check(between(0, 1))
      ->capture_default_str();
  app.add_option("--nms", o.nms, "overlap above which the weaker of two detections goes; 0: none")
      ->check(between(0, 1))
      ->capture_default_str();
  app.add_flag("--ext_output", o.ext_output, "print the boxes in pixels");
  app.add_option("--out", o.out, "write all detections to this JSON file");
  app.add_option("--prefix", o.prefix,
                 "name of the annotated picture without .jpg; of several: their folder");
  app.add_flag("--save_labels", o.save_labels, "write the detections as label files");
  app.add_flag("--letter_box", o.letter_box, "keep the aspect ratio, grey bars around");
  app.add_flag("--dont_show", o.dont_show, "open no window");
  add_overrides(app, o.overrides);
  add_exact(app, o.exact);
  add_darknet_habits(app);
}

int predict_images(const PredictOptions& o, const std::string& names) {
  Predictor predictor(o, names);
  const auto images = images_of(o);
  for (const fs::path& path : images) predictor.run(path, images.size() > 1);
  const bool good = !o.images.empty() || predictor.run_typed();
  predictor.finish();
  return good ? 0 : 1;
}

}  // namespace darknet::cli
