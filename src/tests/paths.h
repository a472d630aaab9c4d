// Where the checkout, the built program and the data of the tests are. Known to paths.cpp alone, so
// that compiled tests do not depend on the folder they were compiled in.
#pragma once
#include <filesystem>
#include <string>

namespace darknet::test {

std::filesystem::path source_dir();
std::filesystem::path program();
std::filesystem::path test_data();  // src/tests/data: in every clone

// Published models and the like, which no clone has: in the folder that DARKNET_TEST_DATA names,
// else in ../shared/data next to the checkout. Tests of them are extras: what they cover, other
// tests cover with test_data().
std::filesystem::path extra_data(const std::string& name);
std::string why_no_extra_data(const std::filesystem::path& missing);

}  // namespace darknet::test
