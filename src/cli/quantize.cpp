// darknet quantize cfg weights data
#include <fmt/core.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "eval/quantization_file.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct QuantizeArguments : NetworkArguments {
  std::string list, keep, method = std::string(name_of(RangeRule{}.method));
  std::int64_t images = 200, sample = QuantizerOptions{}.sample;
  double percentile = RangeRule{}.percentile, max_error = QuantizerOptions{}.max_error;
  bool depthwise = false;
  int threads = 0;
};

// "3,7,12"
std::set<std::int64_t> layers_in(const std::string& text) {
  std::set<std::int64_t> layers;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    std::int64_t layer = 0;
    if (!read_number(word, layer))
      throw Error(cat("-keep ", shown(text), ": expected numbers of layers, as 3,7"), 2);
    layers.insert(layer);
  }
  return layers;
}

// Spread over the list: train= where the .data file has it, as validation is to be of images that
// nothing was fitted to.
ImagePaths calibration_images(const QuantizeArguments& o, const DataFile& data) {
  const fs::path list = !o.list.empty()       ? fs::path(o.list)
                        : !data.train.empty() ? data.train
                                              : required(data, data.valid, "train or valid");
  const ImagePaths all = read_image_list(list);
  const std::size_t wanted = std::min(static_cast<std::size_t>(o.images), all.size());
  std::vector<std::size_t> left_out;
  for (std::size_t i = 0; i < all.size(); ++i)
    if ((i + 1) * wanted / all.size() == i * wanted / all.size()) left_out.push_back(i);
  return without(all, left_out);
}

void print(const Network& net, const QuantizationReport& r) {
  fmt::print("{:>5} {:<18} {:>8} {:>10}  {}\n", "layer", "", "filters", "error", "computes in");
  for (const QuantizedLayer& l : r.layers) {
    const LayerSummary s = net.layer(l.layer).summary();
    fmt::print("{:>5} {:<18} {:>8} {:>10}  {}\n", l.layer, s.size, s.filters,
               l.error > 0 ? fmt::format("{:.4f}", l.error) : "-",
               l.kept == Kept::int8 ? "int8" : cat("f32 (", name_of(l.kept), ")"));
  }
  const auto in_int8 = std::ranges::count(r.layers, Kept::int8, &QuantizedLayer::kept);
  fmt::print("{} of {} in int8, ranges of {}: error {:.4f} at the heads{}\n", in_int8,
             plural(std::ssize(r.layers), "convolution"), plural(r.images, "image"), r.error,
             r.error < r.error_of_all
                 ? fmt::format(" ({:.4f} with all that could be)", r.error_of_all)
                 : "");
}

int run_quantize(const QuantizeArguments& o) {
  const RangeMethod method = value_of<RangeMethod>(o.method).value();
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images);
  const fs::path file = quantization_path(network.weights);
  require_writable_file(file, quantization_format());
  const ImagePaths images = calibration_images(o, data);
  std::uint64_t checksum = 0;
  Network net = open_network(network, kEvaluationBatch, &checksum);
  const InterruptGuard interrupt("the images");
  const QuantizationReport r = quantize(net, images,
                                        {.rule = {method, o.percentile},
                                         .keep = layers_in(o.keep),
                                         .max_error = o.max_error,
                                         .depthwise = o.depthwise,
                                         .sample = o.sample,
                                         .threads = o.threads,
                                         .stop = [&] { return interrupt.requested(); }});
  if (r.layers.empty()) {
    fmt::print("interrupted: nothing is written\n");
    return interrupt.exit_code();
  }
  print(net, r);
  if (r.chosen().empty()) fail("no convolution is left for int8: nothing is written");
  write_quantization(file, identity_of(net, checksum), r);
  fmt::print(
      "-> {}; -precision int8 of map, test, detect, valid, demo, recall, imbalance and "
      "calibrate reads it\n",
      printable(file.string()));
  return 0;
}

void add_choices(const Command& command, QuantizeArguments& o) {
  command.option("-images", o.images, "how many images give the ranges, spread over the list")
      .integer_in(1, 1 << 20)
      .value_name("N")
      .show_default();
  command.option("-list", o.list, "a list of images, in place of train= (or valid=)")
      .input("the list of images")
      .value_name("FILE");
  command
      .text_option(
          "-method", o.method,
          "range of the inputs: percentile of their values; max, all; mse, least squared error")
      .one_of(names_of<RangeMethod>())
      .show_default();
  command.option("-percentile", o.percentile, "of the values, for -method percentile")
      .number_in(90, 100)
      .show_default();
  command.text_option("-keep", o.keep, "layers that stay in f32, as 3,7").value_name("N,...");
  command.flag("-depthwise", o.depthwise, "also convolutions with one channel a group");
  command
      .option("-max_error", o.max_error,
              "error of all together; while it is larger, the worst layer stays in f32")
      .number_in(0, 1e6)
      .show_default();
  command.option("-sample", o.sample, "images by which errors are measured")
      .integer_in(1, 1 << 16)
      .value_name("N")
      .show_default();
}

}  // namespace

void add_quantize(Program& program) {
  const Command command = program.command(
      "quantize", "scales for inference in 8-bit integers on the CPU, for -precision int8");
  command.footer(
      "Writes NAME.int8 next to NAME.weights. A layer's error is that of the heads' inputs with "
      "this convolution alone in 8-bit integers: root mean square, over the deviation of their "
      "values in f32; of the worst head. Layers that heads read stay in f32. Compare detector map "
      "with and without -precision int8 afterwards. docs/quantization.md says more.");
  auto& o = command.options<QuantizeArguments>();
  cfg_argument(command, o.cfg).required();
  weights_argument(command, o.weights).required();
  data_argument(command, o.data).required();
  add_choices(command, o);
  add_threads(command, o.threads, kReadingThreads);
  command.flag("-letter_box", o.letter_box, "keep the aspect ratio, grey bars around");
  add_overrides(command, o.overrides);
  add_compatibility_flags(command);
  command.runs([&o, command] {
    if (command.at("-percentile").given() && o.method != name_of(RangeMethod::percentile))
      throw Error(cat("-percentile is for -method percentile, not ", o.method), 2);
    return run_quantize(o);
  });
}

}  // namespace darknet::cli
