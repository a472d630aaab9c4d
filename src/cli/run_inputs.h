// The inputs of the command that runs. Flags and arguments that name input files are declared with
// the functions here, so that no output of any command replaces them.
#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>

#include "cfg/data_file.h"
#include "core/protected_files.h"
#include "dataset/run_inputs.h"

namespace darknet::cli {

ProtectedFiles& run_inputs();

// The files that `option` names are inputs; returns `option`. `what`: "the cfg", for messages.
CLI::Option* as_input(CLI::Option* option, const char* what);

// The arguments that most commands begin with. T: a string or a path.
template <class T>
CLI::Option* data_argument(CLI::App& app, T& data) {
  return as_input(app.add_option("data", data, "the .data file"), "the .data file");
}
template <class T>
CLI::Option* cfg_argument(CLI::App& app, T& cfg) {
  return as_input(app.add_option("cfg", cfg, "the network's .cfg"), "the cfg");
}
template <class T>
CLI::Option* weights_argument(CLI::App& app, T& weights) {
  return as_input(app.add_option("weights", weights, "its .weights"), "the weights file");
}

// read_data_file(); all that it names is input.
DataFile open_data(const std::filesystem::path&, ListedFiles);
// find_weights() in the backup folder of the .data file; what it finds is input.
std::filesystem::path open_weights(const std::filesystem::path& given, const DataFile&);

}  // namespace darknet::cli
