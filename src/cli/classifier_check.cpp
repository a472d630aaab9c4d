// darknet classifier check data [cfg]
#include <fmt/core.h>

#include <optional>

#include "cli/classifier_help.h"
#include "cli/common_flags.h"
#include "cli/list_checks.h"
#include "cli/network_arguments.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/class_targets.h"
#include "dataset/image_list.h"
#include "eval/classify.h"
#include "train/advice.h"
#include "train/interrupt.h"
#include "train/task.h"

namespace darknet::cli {
namespace {

struct ClassifierCheckArguments : CfgArguments {
  std::string data;
  bool all = false;
};

void print_list(const char* name, const ListCheck& c, const std::vector<std::string>& labels) {
  fmt::print("{}: {} ({} listed twice)", name, plural(c.images, "image"), c.duplicates);
  if (c.most.width > 0)
    fmt::print(", widths from {} to {} and heights from {} to {} pixels", c.least.width,
               c.most.width, c.least.height, c.most.height);
  fmt::print("\n");
  for (std::size_t i = 0; i < labels.size(); ++i)
    fmt::print("  {:<24} {:>8}\n", printable(labels[i]), c.objects_of_class[i]);
  fmt::print("  errors: {}, {} of no class, {} of several\n",
             plural(c.unreadable, "unreadable image"), c.of_no_class, c.of_several_classes);
}

// The images of one class, which alone can be compared.
LabelledImages images_with_class(const std::filesystem::path& list,
                                 const std::vector<std::string>& labels) {
  LabelledImages all;
  const log::WithoutWarnings given_before;
  const ImagePaths images = read_image_list(list);
  ImageClasses classes(images, labels);
  for (std::size_t i = 0; i < images.size(); ++i) try {
      const Truth truth{{.5f, .5f, 1, 1}, classes.of(i)};
      all.images.push_back(images[i]);
      all.truths.push_back(std::span(&truth, 1));
    } catch (const Error&) {  // was reported
      continue;
    }
  all.objects = std::ssize(all.images);
  return all;
}

Findings findings_of(const DataFile& data, const std::vector<Section>& cfg, const Network* net,
                     const std::vector<std::string>& labels) {
  const LabelledImages train = images_with_class(data.train, labels);
  const LabelledImages valid =
      data.valid.empty() ? LabelledImages{} : images_with_class(data.valid, labels);
  const AdviceInput in{.net = net,
                       .names = labels,
                       .train = &train,
                       .valid = valid.images.empty() ? nullptr : &valid,
                       .overlap_seconds = kOverlapSeconds};
  if (net) return classification_task(data, cfg)->advice(in);
  Findings to;
  advise_missing_classes(to, labels, count_classes(train.truths, std::ssize(labels)));
  if (in.valid) advise_overlap(to, find_overlap(train.images, valid.images, in.overlap_seconds));
  return to;
}

int run_classifier_check(const ClassifierCheckArguments& o) {
  const DataFile data = read_data_file(o.data);
  std::vector<Section> cfg;
  std::optional<Network> net;
  ListCheckOptions how{.classes = data.classes};
  if (!o.cfg.empty()) {
    cfg = sections_of(o);
    net.emplace(cfg, NetworkOptions{.mode = Mode::training, .batch = 1});
    how.values = input_values(*net);
    how.classes = class_count(*net, data);
  }
  how.class_labels = class_labels(data, how.classes);
  how.classes = std::ssize(how.class_labels);
  required(data, data.train, "train");
  const ListChecks lists = check_lists(data, how, o.all, [&](const char* name, const ListCheck& c) {
    print_list(name, c, how.class_labels);
  });
  if (lists.interrupted != 0) return lists.interrupted;
  Findings findings;
  {
    const InterruptReport interrupt(cat("before, ", plural(lists.errors(), "error"), " came up"),
                                    "while the images of both lists were compared");
    findings = findings_of(data, cfg, net ? &*net : nullptr, how.class_labels);
  }
  if (const std::string advice = input_max_advice(lists.train); !advice.empty())
    findings.push_back(advice);
  for (const std::string& finding : findings) log::warn(finding);
  fmt::print("{}\n", summary(lists.errors(), std::ssize(findings) + lists.warnings()));
  return lists.errors() == 0 ? 0 : 1;
}

}  // namespace

void add_classifier_check(Program& program) {
  const Command command = program.command(
      "classifier check", "find everything that is wrong with the images of a classifier");
  command.footer(
      cat(kClassRule,
          " Counts the images of each class, names those of no class, of several, and those that "
          "cannot be read, and compares the images of valid= with those of train=."));
  auto& o = command.options<ClassifierCheckArguments>();
  data_argument(command, o.data).required();
  const Option cfg =
      command.argument("cfg", o.cfg, "also hold the images against its classes and its input");
  command.flag("-all", o.all, "show every message");
  add_overrides(command, o.overrides);
  command.at("-set").needs(cfg);
  command.runs([&o] { return run_classifier_check(o); });
}

}  // namespace darknet::cli
