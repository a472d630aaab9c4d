// darknet weights average out cfg weights weights ...
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "cli/common_flags.h"
#include "cli/weights_edit.h"
#include "core/index.h"
#include "core/text.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct AverageArguments : WeightsEditArguments {
  std::vector<std::string> weights;
};

using Sums = std::vector<std::vector<double>>;  // for each parameter, for each value

void add_parameters(const Network& net, Sums& sums) {
  const std::vector<Parameter*> parameters = net.parameters();
  sums.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::vector<float> values = parameters[i]->value.to_host(net.stream());
    sums[i].resize(values.size());
    for (std::size_t j = 0; j < values.size(); ++j) sums[i][j] += static_cast<double>(values[j]);
  }
}

void put_means(Network& net, const Sums& sums, std::size_t count) {
  const std::vector<Parameter*> parameters = net.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    std::vector<float> values;
    values.reserve(sums[i].size());
    for (const double sum : sums[i])
      values.push_back(static_cast<float>(sum / static_cast<double>(count)));
    parameters[i]->value.copy_from(net.stream(), values);
  }
}

// A file that is named twice would count twice: a slip of the hand, as with a pattern of names.
void require_distinct(const std::vector<std::string>& files) {
  std::error_code missing;
  for (std::size_t i = 0; i < files.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (std::filesystem::equivalent(files[i], files[j], missing))
        fail(files[i], ": is the same file as ", files[j], "; name each file once");
}

WeightsEdit average(const AverageArguments& o, Network& net) {
  require_distinct(o.weights);
  Sums sums;
  std::uint64_t seen = 0;
  for (const std::string& file : o.weights) {
    const LoadedWeights loaded = load_weights(file, net);
    if (&file == &o.weights.front()) seen = loaded.seen;  // Darknet: that of the first
    add_parameters(net, sums);
  }
  put_means(net, sums, o.weights.size());
  return {seen, cat("the mean of ", o.weights.size(), " weights files")};
}

}  // namespace

void add_weights_average(Program& program) {
  const Command command =
      program.command("weights average", "the mean of several weights files of one network");
  auto& o = command.options<AverageArguments>();
  command.argument("out", o.out, "the weights file to write").required();
  cfg_argument(command, o.cfg).required();
  command.argument("weights", o.weights, "the files, of one training run: two or more")
      .input("a weights file")
      .required();
  command.footer(
      "Every value is averaged, means and variances of batch normalisation too. The images seen "
      "are those of the first file. In training, ema_alpha= of [net] keeps such an average.");
  add_edit_flags(command, o);
  command.runs([&o] {
    if (o.weights.size() < 2) throw Error("an average needs two weights files or more", 2);
    return write_edited_weights(o, [&](Network& net) { return average(o, net); });
  });
}

}  // namespace darknet::cli
