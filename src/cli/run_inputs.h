// The inputs of the command that runs, which no output of any command replaces. Arguments and
// options that name some are declared with Option::input() (cli/command.h).
#pragma once
#include <filesystem>

#include "cfg/data_file.h"
#include "core/protected_files.h"
#include "dataset/run_inputs.h"

namespace darknet::cli {

ProtectedFiles& run_inputs();

// read_data_file(); all that it names is input.
DataFile open_data(const std::filesystem::path&, ListedFiles);
// find_weights() in the backup folder of the .data file; what it finds is input.
std::filesystem::path open_weights(const std::filesystem::path& given, const DataFile&);

}  // namespace darknet::cli
