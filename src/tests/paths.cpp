#include "paths.h"

namespace darknet::test {

std::filesystem::path source_dir() { return DARKNET_SOURCE_DIR; }
std::filesystem::path program() { return DARKNET_PROGRAM; }

}  // namespace darknet::test
