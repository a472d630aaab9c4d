// Where the checkout and the built program are. Known to paths.cpp alone, so that compiled tests
// do not depend on the folder they were compiled in.
#pragma once
#include <filesystem>

namespace darknet::test {

std::filesystem::path source_dir();
std::filesystem::path program();

}  // namespace darknet::test
