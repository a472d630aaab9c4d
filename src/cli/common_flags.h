// Flags that several commands have; those of commands that open a network for inference are in
// cli/network_arguments.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "core/device.h"
#include "train/length.h"

namespace darknet::cli {

// The arguments that most commands begin with: files that they read.
Option data_argument(const Command&, const Value& data);
Option cfg_argument(const Command&, const Value& cfg);
Option weights_argument(const Command&, const Value& weights);

void add_overrides(const Command&, std::vector<std::string>& overrides);  // -set
// -seed: from 0 to 2^64 - 1.
void add_seed(const Command&, const char* help, std::function<void(std::uint64_t)> take);
inline constexpr const char* kReadingThreads = "threads that read images";
void add_threads(const Command&, int& threads, const char* help);
// -exact, -precision, which is an override except for int8, and -tuning, a file of algorithms.
// `int8`: set by -precision int8; null in commands that also compute gradients (training, sweeps,
// check), which refuse it.
void add_arithmetic(const Command&, bool& exact, std::vector<std::string>& overrides,
                    std::filesystem::path& tuning, bool* int8 = nullptr);
// -i, -gpus, -nogpu: `device` is filled in before the command runs; without them the first GPU that
// there is. Where there is none the CPU is taken, with a warning if one was asked for.
void add_device(const Command&, Device& device);
// The same for several, as -gpus 0,1.
void add_devices(const Command&, Device& first, std::vector<Device>& others);
// -epochs and -hours, which exclude each other and `other`, a third flag for the length (or null).
void add_run_length(const Command&, RunLength&, const Option* other);
Option add_epochs(const Command&, RunLength&, const Option* other);  // -epochs alone
// -freeze; for commands that start from weights.
void add_freeze(const Command&, std::int64_t& layers);
void add_deterministic(const Command&, bool& deterministic);
// A port that is served, -1 for none, and the address for all of them (-bind).
void add_port(const Command&, const char* names, int& port, const char* help);
void add_bind(const Command&, std::string& bind);

// Flags of other Darknet forks that have no effect on the command; they are accepted so that old
// command lines work. To be called after the command's own flags are declared.
void add_compatibility_flags(const Command&);
// One such flag, which warns that it has no effect, and why.
struct IgnoredFlag {
  const char* name;  // "-show_imgs"
  bool takes_value;
  const char* why;  // ends the sentence "-show_imgs has no effect: "
};
void add_ignored(const Command&, const IgnoredFlag&);
// A flag with a value that other commands have: a usage error that says why not this one.
void add_refused(const Command&, const char* name, const char* why);

}  // namespace darknet::cli
