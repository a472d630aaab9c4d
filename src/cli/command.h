// The commands of the program. Each lies in a file of its own, declares its flags with CLI11 and
// leaves what is to be run; commands.def is the list.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/device.h"
#include "train/length.h"

namespace darknet::cli {

// What the command line asked for; its result is the exit code.
using Run = std::function<int()>;

// The subcommand `words` ("detector", "train"); groups on the way are made when missing.
CLI::App& subcommand(CLI::App& program, const std::vector<std::string>& words,
                     const std::string& help);

#define COMMAND(name) void add_##name(CLI::App& program, Run& run);
#include "cli/commands.def"
#undef COMMAND

// Darknet's habits into CLI11's: -dont_show becomes --dont_show; numbers such as -1 stay.
std::vector<std::string> normalise(const std::vector<std::string>& arguments);

// Flags that several commands have; more are in cli/network_arguments.h.
void add_overrides(CLI::App&, std::vector<std::string>& overrides);
// -seed: from 0 to 2^64 - 1.
void add_seed(CLI::App&, const std::string& help, std::function<void(std::uint64_t)> take);
inline constexpr const char* kReadingThreads = "threads that read images";
void add_threads(CLI::App&, int& threads, const std::string& help);
// -exact, -precision, which is an override, and -tuning, a file of algorithms.
void add_arithmetic(CLI::App&, bool& exact, std::vector<std::string>& overrides,
                    std::filesystem::path& tuning);
// A number from `low` to `high`; unlike CLI::Range it refuses nan.
CLI::Validator between(double low, double high);
// -i, -gpus, -nogpu: `device` is filled in before the command runs; without them the first GPU that
// there is. Where there is none the CPU is taken, with a warning if one was asked for.
void add_device(CLI::App&, Device& device);
// The same for several, as -gpus 0,1.
void add_devices(CLI::App&, Device& first, std::vector<Device>& others);
// -epochs and -hours, which exclude each other and `other`, a third flag for the length (or null).
void add_run_length(CLI::App&, RunLength&, CLI::Option* other);
void add_deterministic(CLI::App&, bool& deterministic);
// An integer not below `low`; CLI's own checks name their limit with 300 digits.
CLI::Validator whole_from(std::int64_t low);
// Flags that the Darknet forks take and that mean nothing on this path; accepted where people type
// them. After the command's own flags.
void add_darknet_habits(CLI::App&);

}  // namespace darknet::cli
