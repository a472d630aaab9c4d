// darknet weights list [name]
#include <fmt/core.h>

#include <sstream>
#include <string>

#include "cfg/cfg_text.h"
#include "cfg/shipped.h"
#include "cli/command.h"
#include "cli/published_weights.h"
#include "core/log.h"

namespace darknet::cli {
namespace {

std::string_view licence_of(const PublishedWeights& w) {
  return w.licence.empty() ? "-" : w.licence;
}

struct WeightsListArguments {
  std::string name;
};

struct CfgFacts {
  std::string input, classes;
};

CfgFacts facts_of(std::string_view cfg_name) {
  const CfgText cfg(shipped_cfg(cfg_name));
  CfgFacts facts{.input = cfg.value(0, "width") + "x" + cfg.value(0, "height"), .classes = "1000"};
  for (std::size_t s = 1; s < cfg.size(); ++s)
    if (const std::string classes = cfg.value(s, "classes"); !classes.empty())
      facts.classes = classes;
  return facts;
}

int list_all() {
  fmt::print("{:<22} {:<8} {:<7} {:>7}  {:<13} {:<27} {:>7}\n", "name", "licence", "input",
             "classes", "trained on", "accuracy, as published", "MB");
  for (const PublishedWeights& w : published_weights()) {
    const CfgFacts facts = facts_of(w.cfg);
    const std::string accuracy =
        w.layers ? fmt::format("backbone, {} layers", w.layers) : std::string(w.accuracy);
    fmt::print("{:<22} {:<8} {:<7} {:>7}  {:<13} {:<27} {:>7.1f}\n", w.name, licence_of(w),
               facts.input, facts.classes, w.data, accuracy.empty() ? "-" : accuracy,
               1e-6 * static_cast<double>(w.bytes_of_values));
  }
  return 0;
}

// A key, blanks, and its value, which scripts/get_weights.sh reads.
void say(std::string_view key, std::string_view value) {
  if (!value.empty()) fmt::print("{:<10} {}\n", key, value);
}

int list_one(const PublishedWeights& w) {
  const CfgFacts facts = facts_of(w.cfg);
  say("name", w.name);
  say("file", w.file);
  say("cfg", fmt::format("cfg/{}.cfg", w.cfg));
  if (w.layers) say("layers", fmt::format("{}, a backbone", w.layers));
  say("input", facts.input);
  say("classes", facts.classes);
  say("data", w.data);
  say("licence", licence_of(w));
  say("accuracy", w.accuracy);
  say("source", w.source);
  say("bytes", fmt::format("{} and a header of 16 or 20", w.bytes_of_values));
  say(w.sum.size() == 40 ? "sha1" : "sha256", w.sum);
  std::istringstream urls{std::string(w.urls)};
  for (std::string url; urls >> url;) say("url", url);
  say("page", w.page);
  return 0;
}

}  // namespace

void add_weights_list(Program& program) {
  const Command command = program.command(
      "weights list", "weights that others have published for networks of cfg/; none is included");
  auto& o = command.options<WeightsListArguments>();
  command.argument("name", o.name, "everything that is known of one of them");
  command.footer(
      "scripts/get_weights.sh NAME, in this program's source repository, downloads and checks one. "
      "The licence is the one under which the authors publish the network (YOLO: public domain; -: "
      "none is stated); the images of the training have their own. "
      "A backbone is what detector train starts from: detector train x.data x.cfg FILE.");
  command.runs([&o] { return o.name.empty() ? list_all() : list_one(published_weights(o.name)); });
}

}  // namespace darknet::cli
