// A folder of its own for each test, removed at its end.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"

namespace darknet::testing_files {

class InFolder : public testing::Test {
 public:
  ~InFolder() override { std::filesystem::remove_all(folder_); }

 protected:
  InFolder() {
    std::filesystem::remove_all(folder_);  // of a process of the same number that was killed
    std::filesystem::create_directories(folder_);
  }

  // Writes a file below the folder, making the folders on its way.
  std::filesystem::path file(const std::filesystem::path& name, const std::string& contents) const {
    auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary);  // replaces what our writers refuse to
    out << contents;
    return path;
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                  ("dn-" + std::to_string(::getpid()) + "-" +
                                   testing::UnitTest::GetInstance()->current_test_info()->name());
};

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What an Error says; "" where nothing is thrown.
template <class F>
std::string error_of(const F& f) {
  try {
    f();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace darknet::testing_files
