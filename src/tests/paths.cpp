#include "paths.h"

#include <cstdlib>

namespace darknet::test {
namespace fs = std::filesystem;

fs::path source_dir() { return DARKNET_SOURCE_DIR; }
fs::path program() { return DARKNET_PROGRAM; }
fs::path test_data() { return source_dir() / "src/tests/data"; }

fs::path extra_data(const std::string& name) {
  const char* const folder = std::getenv("DARKNET_TEST_DATA");
  return (folder ? fs::path(folder) : source_dir() / "../shared/data") / name;
}

std::string why_no_extra_data(const fs::path& missing) {
  return "an extra test, of data that is not part of the repository: there is no " +
         missing.lexically_normal().string() +
         " (DARKNET_TEST_DATA names the folder that holds such data)";
}

}  // namespace darknet::test
