#include "cli/run_inputs.h"

#include "nn/weights.h"

namespace darknet::cli {

ProtectedFiles& run_inputs() {
  static ProtectedFiles inputs;
  return inputs;
}

DataFile open_data(const std::filesystem::path& path, ListedFiles listed) {
  DataFile data = read_data_file(path);
  add_data(run_inputs(), data, listed);
  return data;
}

std::filesystem::path open_weights(const std::filesystem::path& given, const DataFile& data) {
  std::filesystem::path found = find_weights(given, data.backup);
  run_inputs().add("the weights file", found);
  return found;
}

}  // namespace darknet::cli
