// darknet classifier predict data cfg weights [images]

#include <fmt/core.h>

#include <iostream>

#include "cli/classifier_help.h"
#include "cli/common_flags.h"
#include "cli/image_arguments.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/check.h"
#include "dataset/image_list.h"
#include "eval/classify.h"
#include "eval/predict.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct ClassifierPredictArguments : NetworkArguments {
  std::vector<std::string> images;
  std::optional<std::int64_t> top;
  std::string json;
  bool recursive = false;
};

class Guesser {
 public:
  explicit Guesser(const ClassifierPredictArguments& o, const DataFile& data)
      : net_(open_network(o)),
        names_(names_of(data.names, class_count(net_, data))),
        top_(o.top.value_or(data.top)) {}

  // False where this image cannot be read.
  bool run(const ImagePaths& images, std::size_t i) try {
    const std::string path = images[i].string();
    const Image image = read_listed_input(images, i, input_values(net_));
    if (const std::string hint = input_max_hint(image); !hint.empty())
      log::warn(cat(printable(path), ": ", hint));
    const std::vector<float> values = classify(net_, image);
    fmt::print("{}:\n", printable(path));
    nlohmann::json guesses = nlohmann::json::array();
    for (const std::int64_t c : top_classes(values, top_)) {
      const float p = values[to_size(c)];
      fmt::print("{:>6.2f} %  {}\n", 100 * p, printable(names_[to_size(c)]));
      guesses.push_back({{"class_id", c}, {"name", names_[to_size(c)]}, {"probability", p}});
    }
    found_.push_back({{"filename", path}, {"classes", std::move(guesses)}});
    return true;
  } catch (const Error& e) {
    std::fflush(stdout);
    log::error(e.what());
    return false;
  }

  bool run_all(const ImagePaths& images) {
    bool good = true;
    for (std::size_t i = 0; i < images.size() && !interrupt_.requested(); ++i)
      good &= run(images, i);
    return good;
  }

  bool run_typed(bool recursive) {
    bool good = true;
    LineReader lines(std::cin, "standard input");
    for (std::string_view line; !interrupt_.requested() && lines.next(line);) {
      if (line.empty()) continue;
      try {
        good &= run_all(images_typed(std::string(line), recursive));
      } catch (const Error& e) {
        log::error(e.what()), good = false;
      }
    }
    return good;
  }

  std::string json() const { return dump_json(found_, 2, InvalidUtf8::replace) + "\n"; }
  int exit_code() const { return interrupt_.exit_code(); }

 private:
  Network net_;
  std::vector<std::string> names_;
  std::int64_t top_;
  nlohmann::json found_ = nlohmann::json::array();
  InterruptGuard interrupt_{"the image"};
};

int classifier_predict(ClassifierPredictArguments o) {
  const DataFile data = open_data(o, ListedFiles::none);
  const ImagePaths images = images_of(o.images, o.recursive);
  if (!o.json.empty()) require_writable_file(o.json, json_format({"filename", "classes"}));
  Guesser guesser(o, data);
  const bool good = o.images.empty() ? guesser.run_typed(o.recursive) : guesser.run_all(images);
  if (!o.json.empty()) {
    write_file_atomically(o.json, guesser.json());
    fmt::print("-> {}\n", printable(o.json));
  }
  return guesser.exit_code() != 0 ? guesser.exit_code() : good ? 0 : 1;
}

}  // namespace

void add_classifier_predict(Program& program) {
  const Command command =
      program.command("classifier predict", "the most probable classes of images");
  command.footer(kMiddleOfImage);
  auto& o = command.options<ClassifierPredictArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  command.argument(
      "images", o.images,
      "images, folders, patterns, .txt lists of images; none: paths from standard input");
  command.option("-t,-top", o.top, "how many classes (top= of the .data file, else 5)")
      .integer_in(1, 1 << 16)
      .value_name("K");
  command.option("-json", o.json, "write the classes of all images to this file")
      .value_name("FILE");
  command.flag("-recursive", o.recursive, "the images in folders of a folder too");
  add_classifier_network_flags(command, o);
  add_compatibility_flags(command);
  command.runs([&o] { return classifier_predict(o); });
}

}  // namespace darknet::cli
