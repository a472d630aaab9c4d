#include "cli/open_network.h"

#include "cfg/data_file.h"
#include "cli/run_inputs.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "eval/calibration_file.h"
#include "eval/quantization_file.h"

namespace darknet::cli {
namespace {

void set_hier(std::vector<Section>& cfg, float hier) {
  bool found = false;
  for (Section& s : cfg)
    if (s.type() == "region" && s.has("tree")) s.set("hier", cat(hier), {"-hier", 0}), found = true;
  if (!found) log::warn(cat("-hier ", hier, " has no effect: the network has no class tree"));
}

}  // namespace

Network open_network(const NetworkArguments& a, std::int64_t batch, std::uint64_t* checksum) {
  if (a.int8 && a.device.type != DeviceType::cpu)
    throw Error("-precision int8 is for the CPU: add -nogpu", 2);
  if (a.int8) run_inputs().add("the quantisation", quantization_path(a.weights));
  std::vector<Section> cfg = sections_of(a);
  if (a.hier >= 0) set_hier(cfg, a.hier);
  return darknet::open_network(std::move(cfg), a.weights,
                               {.device = a.device,
                                .exact = a.exact,
                                .letter_box = a.letter_box,
                                .int8 = a.int8,
                                .batch = batch,
                                .tuning = tuning_for(a.tuning, a.device)},
                               checksum);
}

ConfidenceMap stored_calibration(const NetworkArguments& a, const Network& net,
                                 std::uint64_t checksum) {
  const std::filesystem::path file = calibration_path(a.weights);
  ConfidenceMap map = read_calibration(file, calibrated_network(net, checksum));
  run_inputs().add("the calibration", file);
  log::info(cat("confidences are calibrated by ", printable(file.string())));
  return map;
}

std::vector<std::string> class_names(const Network& net, const std::filesystem::path& names,
                                     bool shipped) {
  const std::int64_t classes = classes_of(net);
  if (!names.empty()) {
    std::vector<std::string> list = read_names(names, classes);
    if (const std::string conflict = tree_conflict(net, list); !conflict.empty())
      log::warn(conflict);
    return list;
  }
  if (!shipped) return names_of("", classes);
  const std::filesystem::path cfg = net.where().file;
  for (const std::string& file :
       {cfg.stem().string() + ".names", std::string("coco.names"), std::string("voc.names")})
    for (const std::filesystem::path& folder :
         {std::filesystem::path("data"), cfg.parent_path() / "../data"})
      if (is_present(folder / file))
        if (auto list = read_names(folder / file, 0); std::ssize(list) == classes) return list;
  log::warn(cat("the classes are called by their numbers: there is no .names file for ",
                plural(classes, "class"), " in data/ or next to the folder of the cfg; give one ",
                "with -names"));
  return names_of("", classes);
}

std::vector<std::string> class_names(const Network& net, const DataFile& data) {
  classes_of(net, data);
  return class_names(net, data.names);
}

}  // namespace darknet::cli
