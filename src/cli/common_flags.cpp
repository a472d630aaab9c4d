#include "cli/common_flags.h"

#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/number.h"
#include "core/tensor.h"
#include "core/text.h"
#include "eval/open_network.h"
#include "web/http_address.h"

namespace darknet::cli {

Option data_argument(const Command& command, const Value& data) {
  return command.argument("data", data, "the .data file").input("the .data file");
}

Option cfg_argument(const Command& command, const Value& cfg) {
  return command.argument("cfg", cfg, "the network's .cfg").input("the cfg");
}

Option weights_argument(const Command& command, const Value& weights) {
  return command.argument("weights", weights, "its .weights").input("the weights file");
}

void add_overrides(const Command& command, std::vector<std::string>& overrides) {
  command
      .option("-set", overrides,
              "override a cfg key: type.index.key=value, e.g. yolo.0.obj_gamma=1.5; may be "
              "repeated")
      .value_name("KEY=VALUE");
}

void add_seed(const Command& command, const char* help, std::function<void(std::uint64_t)> take) {
  const auto number = [take = std::move(take)](const std::string& text) {
    std::uint64_t seed = 0;
    read_number(text, seed);
    take(seed);
  };
  const auto wrong = [](const std::string& text) {
    std::uint64_t seed = 0;
    return read_number(text, seed)
               ? std::string()
               : cat("'", shown(text), "': expected an integer from 0 to 2^64 - 1");
  };
  command.option("-seed", number, help).check(wrong).value_name("N");
}

void add_threads(const Command& command, int& threads, const char* help) {
  command.option("-threads", threads, help).integer_in(1, 1024).value_name("N");
}

namespace {

void set_precision(const std::string& type, std::vector<std::string>& overrides, bool* int8) {
  if (type == kInt8 && !int8)
    throw Error(
        "-precision int8 is for inference: train in f32, bf16 or f16; then darknet quantize", 2);
  if (int8) *int8 = type == kInt8;
  overrides.push_back(cat(precision_override(type), " # -precision ", type));
}

void add_precision(const Command& command, std::vector<std::string>& overrides, bool* int8) {
  std::vector<std::string> types = names_of<DType>();
  types.emplace_back(kInt8);
  const std::string help =
      cat("element type of activations: f32, bf16 (half the memory, about twice as fast where the "
          "processor or the GPU has it) or f16 (GPUs); the cfg's [net] precision=",
          int8 ? ". int8: convolutions in 8-bit integers, on the CPU" : "");
  command
      .option(
          "-precision",
          [&overrides, int8](const std::string& type) { set_precision(type, overrides, int8); },
          help)
      .one_of(types)
      .value_name("TYPE");
}

}  // namespace

void add_arithmetic(const Command& command, bool& exact, std::vector<std::string>& overrides,
                    std::filesystem::path& tuning, bool* int8) {
  command.flag("-exact", exact, "direct convolutions only: slower, closest to plain arithmetic");
  add_precision(command, overrides, int8);
  command
      .option("-tuning", tuning,
              "take the convolutions' algorithms from this file of darknet bench -tune")
      .input("the tuning file")
      .value_name("FILE");
}

Option add_epochs(const Command& command, RunLength& length, const Option* other) {
  const Option epochs =
      command
          .option("-epochs", length.epochs,
                  "length of the run in passes over the training images; burn_in and steps scale "
                  "along")
          .number_in(1e-3, 1e9);
  if (other) epochs.excludes(*other);
  return epochs;
}

void add_run_length(const Command& command, RunLength& length, const Option* other) {
  const Option epochs = add_epochs(command, length, other);
  const Option hours =
      command
          .option("-hours", length.hours,
                  "length of the run in hours on this machine, from a few iterations measured at "
                  "its start; burn_in and steps scale along")
          .number_in(1e-4, 1e6);
  hours.excludes(epochs);
  if (other) hours.excludes(*other);
}

void add_freeze(const Command& command, std::int64_t& layers) {
  command
      .option("-freeze", layers,
              "keep the first N layers as the weights have them (stopbackward=1 of the last)")
      .integer_from(1)
      .value_name("N");
}

void add_deterministic(const Command& command, bool& deterministic) {
  command.flag("-deterministic", deterministic,
               "GPUs: only algorithms that are bitwise reproducible");
}

void add_port(const Command& command, const char* names, int& port, const char* help) {
  command.option(names, port, cat(help, "; 0: any free port")).integer_in(-1, kMaxPort);
}

void add_bind(const Command& command, std::string& bind) {
  command.text_option("-bind", bind, "address that is served; 0.0.0.0: every machine may look")
      .show_default();
}

void add_ignored(const Command& command, const IgnoredFlag& ignored) {
  const auto warn = [ignored](const std::string& value) {
    log::warn(
        cat(ignored.name, value.empty() ? "" : " ", shown(value), " has no effect: ", ignored.why));
  };
  const Option option = ignored.takes_value ? command.option(ignored.name, warn, ignored.why)
                                            : command.flag(
                                                  ignored.name, [warn] { warn(""); }, ignored.why);
  option.for_compatibility();
}

void add_refused(const Command& command, const char* name, const char* why) {
  command
      .option(
          name,
          [name, why](const std::string&) { throw Error(cat(name, " is not there: ", why), 2); },
          why)
      .hidden();
}

}  // namespace darknet::cli
