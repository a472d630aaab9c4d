// darknet classifier valid data cfg weights

#include <fmt/core.h>

#include "cli/classifier_help.h"
#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "core/log.h"
#include "core/ranks.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "eval/classify.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct ClassifierValidArguments : NetworkArguments {
  std::optional<std::int64_t> top;
  int threads = 0;
  bool per_class = false;
  std::string json;
};

std::string percent_of(double share) { return fmt::format("{:.2f} %", 100 * share); }

void print_classes(const std::vector<Accuracy>& classes, const std::vector<std::string>& names,
                   std::int64_t top) {
  fmt::print("{:<24} {:>8} {:>9} {:>9}\n", "class", "images", "top-1", cat("top-", top));
  for (std::size_t c = 0; c < classes.size(); ++c)
    if (const Accuracy& a = classes[c]; a.images > 0)
      fmt::print("{:<24} {:>8} {:>9} {:>9}\n", shown(names[c]), a.images, percent_of(a.top1()),
                 percent_of(a.topk()));
}

std::string json_of(const Accuracy& all, const std::vector<Accuracy>& classes,
                    const std::vector<std::string>& names) {
  using nlohmann::json;
  const auto figures = [](const Accuracy& a) {
    return json{{"images", a.images}, {"top1", a.top1()}, {"topk", a.topk()}};
  };
  json to = figures(all);
  to["top"] = all.top;
  to["classes"] = json::array();
  for (std::size_t c = 0; c < classes.size(); ++c) {
    json one = figures(classes[c]);
    one["name"] = names[c];
    to["classes"].push_back(std::move(one));
  }
  return dump_json(to, 2, InvalidUtf8::replace) + "\n";
}

int classifier_valid(const ClassifierValidArguments& o) {
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images);
  if (!o.json.empty() && launched_ranks().is_first())
    require_writable_file(o.json, json_format({"top1", "topk"}));
  const ImagePaths images = read_image_list(required(data, data.valid, "valid"));
  Network net = open_network(network, kEvaluationBatch);
  const std::int64_t classes = class_count(net, data);
  const LabelledImages labelled = classified(images, class_labels(data, classes));
  const std::int64_t top = o.top.value_or(data.top);
  if (top >= classes) log::warn(trivial_top(top, classes));
  Accuracy all{.top = top};
  std::vector<Accuracy> by_class(to_size(classes), Accuracy{.top = top});
  const InterruptGuard interrupt("the images");
  const ImageShare share(launched_ranks(), images, net.input_shape().n);
  const Batches batches(classification_batches(net, share.mine(images)));
  Loader loader(batches, {.threads = o.threads});
  const bool complete = classify_images(
      net, loader, share, [&] { return interrupt.requested(); },
      [&](std::size_t image, std::span<const float> values) {
        const std::int32_t c = labelled.truths[image][0].class_id;
        all.add(values, c), by_class[to_size(c)].add(values, c);
      });
  const int exit_code = exit_code_of(share.ranks(), interrupt, complete);
  if (!share.ranks().is_first()) return exit_code;
  if (!complete) {
    log::info(cat("interrupted after ", plural(all.images, "image"), " of ", images.size(),
                  "; there are no figures of a part"));
    return exit_code;
  }
  const std::vector<std::string> names = names_of(data.names, classes);
  if (o.per_class) print_classes(by_class, names, top);
  fmt::print("{}: top-1 {}, top-{} {}\n", plural(all.images, "image"), percent_of(all.top1()), top,
             percent_of(all.topk()));
  if (o.json.empty()) return 0;
  write_file_atomically(o.json, json_of(all, by_class, names));
  fmt::print("-> {}\n", printable(o.json));
  return 0;
}

}  // namespace

void add_classifier_valid(Program& program) {
  const Command command = program.command(
      "classifier valid", "how often the first guess on the images of valid= is right");
  command.footer(cat(kMiddleOfImage, " ", kClassRule));
  auto& o = command.options<ClassifierValidArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  command.option("-t,-top", o.top, "guesses of the top-k accuracy (top= of the .data file, else 5)")
      .integer_in(1, 1 << 16)
      .value_name("K");
  command.flag("-per_class", o.per_class, "a line for each class");
  command.option("-json", o.json, "write the figures to this file").value_name("FILE");
  add_threads(command, o.threads, kReadingThreads);
  add_classifier_network_flags(command, o);
  add_compatibility_flags(command);
  command.runs_in_ranks([&o] { return classifier_valid(o); });
}

}  // namespace darknet::cli
