// darknet weights info file [cfg]
#include <fmt/core.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/network.h"
#include "nn/weights_file.h"

namespace darknet::cli {
namespace {

struct WeightsInfoArguments : CfgArguments {
  std::string weights;
};

// Of the finite values, and how many are not.
struct ValueStatistics {
  std::int64_t finite = 0, others = 0;
  double min = std::numeric_limits<double>::infinity(), max = -min, mean = 0, deviation = 0;
};

ValueStatistics statistics_of(std::span<const float> values) {
  ValueStatistics s;
  double squares = 0;  // of differences from the running mean (Welford)
  for (const float value : values) {
    if (!std::isfinite(value)) {
      ++s.others;
      continue;
    }
    const auto v = static_cast<double>(value), before = v - s.mean;
    s.mean += before / static_cast<double>(++s.finite);
    squares += before * (v - s.mean);
    s.min = std::min(s.min, v), s.max = std::max(s.max, v);
  }
  if (s.finite > 0) s.deviation = std::sqrt(squares / static_cast<double>(s.finite));
  return s;
}

void print_heading() {
  fmt::print("{:>4} {:<15} {:<9} {:>10} {:>11} {:>11} {:>11} {:>11} {:>10}\n", "", "layer", "",
             "values", "min", "max", "mean", "deviation", "not finite");
}

// Returns how many are not finite.
std::int64_t print_values(const std::string& place, std::string_view what,
                          std::span<const float> values) {
  const ValueStatistics s = statistics_of(values);
  const auto figure = [&](double v) { return s.finite > 0 ? fmt::format("{:.4g}", v) : "-"; };
  fmt::print("{} {:<9} {:>10} {:>11} {:>11} {:>11} {:>11} {:>10}\n", place, what, values.size(),
             figure(s.min), figure(s.max), figure(s.mean), figure(s.deviation), s.others);
  return s.others;
}

std::vector<float> take_values(WeightsFile& file, std::size_t count, const std::string& title) {
  std::vector<float> values(count);
  file.take(values.data(), count * sizeof(float), title);
  return values;
}

// What the layers find in the file.
struct Walk {
  std::int64_t layers = 0, with_values = 0, not_finite = 0;
  std::string ended_in;  // where the file ended in the middle of a layer; "": nowhere
};

bool has_room(const WeightsFile& file, const Parameter& p) {
  return file.left() >= to_size(p.value.size()) * sizeof(float);
}

// False where the file ends in it.
bool print_layer_values(WeightsFile& file, Layer& layer, Walk& walk) {
  bool any = false;
  for (const Parameter* p : layer.parameters()) {
    if (!p->load) continue;
    const std::string_view role = name_of(p->role);
    if (!has_room(file, *p)) {
      if (any || file.left() > 0)
        walk.ended_in = fmt::format("{}: {} of its {} {} are there", layer.title(),
                                    file.left() / sizeof(float), p->value.size(), role);
      return false;
    }
    const std::string place =
        fmt::format("{:>4} {:<15}", layer.context().index, printable(layer.type()));
    walk.not_finite +=
        print_values(place, role, take_values(file, to_size(p->value.size()), layer.title()));
    any = true;
  }
  walk.with_values += any ? 1 : 0;
  return true;
}

Walk print_layers(WeightsFile& file, Network& net) {
  print_heading();
  Walk walk;
  while (walk.layers < net.size() && print_layer_values(file, net.layer(walk.layers), walk))
    ++walk.layers;
  return walk;
}

// 0 where the file fits the network, or is the beginning of such a file.
int print_fit(const WeightsInfoArguments& o, const WeightsFile& file, const Network& net,
              const Walk& walk) {
  const std::string name = printable(o.weights);
  if (!walk.ended_in.empty()) {
    log::error(cat(name, ": the file ends in the middle of ", walk.ended_in,
                   "; it was cut short, or these are weights of another network"));
    return 1;
  }
  if (walk.layers == net.size() && file.left() > 0) {
    log::error(cat(name, ": ", file.left(), " bytes follow the last layer of ", printable(o.cfg),
                   ": these are weights of another network"));
    return 1;
  }
  if (walk.with_values == 0 && !net.parameters().empty()) {
    log::error(cat(name, ": there are no values behind the header"));
    return 1;
  }
  if (walk.layers < net.size())
    fmt::print("the file ends with layer {}, of {}: a backbone, for detector train\n",
               walk.layers - 1, plural(net.size(), "layer"));
  else
    fmt::print("the file fills all of {}\n", plural(net.size(), "layer"));
  return 0;
}

int report_not_finite(std::int64_t count) {
  if (count == 0) return 0;
  log::error(cat("values that are not finite: ", count,
                 "; no command takes such weights, use an earlier file"));
  return 1;
}

int print_weights_info(const WeightsInfoArguments& o) {
  WeightsFile file(o.weights);
  const WeightsHeader& h = file.header();
  const std::size_t values = file.left() / sizeof(float), rest = file.left() % sizeof(float);
  fmt::print(
      "{}: version {}.{}.{}, {} seen, {} bytes: {} behind a header of {} bytes{}\n",
      printable(o.weights), h.major, h.minor, h.revision,
      plural(static_cast<std::int64_t>(h.seen), "image"), file.bytes().size(),
      plural(static_cast<std::int64_t>(values), "value"), h.bytes,
      rest > 0 ? fmt::format(", and {}", plural(static_cast<std::int64_t>(rest), "byte")) : "");
  if (o.cfg.empty()) {
    print_heading();
    const int code = report_not_finite(
        print_values(fmt::format("{:>4} {:<15}", "", "all"), "", take_values(file, values, "")));
    if (rest == 0) return code;
    log::error(cat(printable(o.weights), ": a value has 4 bytes, and ",
                   plural(static_cast<std::int64_t>(rest), "byte"),
                   " follow the last one: the file is damaged"));
    return 1;
  }
  Network net(sections_of(o), {});
  const Walk walk = print_layers(file, net);
  return std::max(print_fit(o, file, net, walk), report_not_finite(walk.not_finite));
}

}  // namespace

void add_weights_info(Program& program) {
  const Command command = program.command(
      "weights info", "what a weights file holds: images seen, size, and statistics of its values");
  auto& o = command.options<WeightsInfoArguments>();
  weights_argument(command, o.weights).required();
  const Option cfg = cfg_argument(command, o.cfg);
  command.footer(
      "With a cfg the values are listed layer by layer. A file that ends inside a layer, or goes "
      "on after the last one, is an error: the exit code is 1, as for values that are not finite.");
  add_overrides(command, o.overrides);
  command.runs([&o, command, cfg] {
    if (command.at("-set").given() && !cfg.given())
      throw Error("-set changes a cfg: name one behind the weights", 2);
    return print_weights_info(o);
  });
}

}  // namespace darknet::cli
