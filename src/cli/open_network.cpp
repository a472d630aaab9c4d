#include "cli/open_network.h"

#include <cmath>

#include "cfg/data_file.h"
#include "cli/run_inputs.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "eval/calibration_file.h"
#include "eval/quantization_file.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

void use_int8(Network& net, const std::filesystem::path& weights, std::uint64_t checksum) {
  if (net.options().device.type != DeviceType::cpu)
    fail("-precision int8 is for the CPU: add -nogpu");
  const std::filesystem::path file = quantization_path(weights);
  Quantization quantization = read_quantization(file, identity_of(net, checksum));
  run_inputs().add("the quantisation", file);
  log::info(cat(plural(std::ssize(quantization), "convolution"), " in int8 by ",
                printable(file.string())));
  net.set_quantization(std::move(quantization));
}

}  // namespace

Network open_network(const NetworkArguments& a, std::int64_t batch, std::uint64_t* checksum) {
  std::vector<Section> cfg = sections_of(a);
  if (a.letter_box) cfg.front().set("letter_box", "1", {"-letter_box", 0});
  Network net(std::move(cfg), {.device = a.device,
                               .exact = a.exact,
                               .batch = batch,
                               .tuning = tuning_for(a.tuning, a.device)});
  require_image_input(net);
  const LoadedWeights loaded = load_weights(a.weights, net);
  if (checksum) *checksum = loaded.checksum;
  if (a.int8) use_int8(net, a.weights, loaded.checksum);
  net.parameters_changed();
  return net;
}

void require_finite_outputs(const Network& net) {
  for (const HeadAt& at : net.heads()) {
    const TensorView output = net.output(at.layer).images(0, 1);  // others may have no image
    const std::vector<float> values = to_host(net.stream(), output);
    for (const std::int64_t c : at.head->objectness_channels())
      for (std::int64_t p = 0; p < output.shape.pixels(); ++p)
        if (!std::isfinite(values[to_size(p * output.shape.c + c)]))
          fail(net.layer(at.layer).title(),
               ": its objectness is not a finite number: the weights are damaged, or of a training "
               "that diverged; take an earlier file");
  }
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
  if (!names.empty()) return read_names(names, classes);
  const std::string own = std::filesystem::path(net.where().file).stem().string() + ".names";
  for (const std::string& file :
       {"data/" + own, std::string("data/coco.names"), std::string("data/voc.names")})
    if (shipped && is_present(file))
      if (auto list = read_names(file, 0); std::ssize(list) == classes) return list;
  return names_of("", classes);
}

std::vector<std::string> class_names(const Network& net, const DataFile& data) {
  classes_of(net, data);
  return class_names(net, data.names);
}

}  // namespace darknet::cli
