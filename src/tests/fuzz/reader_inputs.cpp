#include "tests/fuzz/reader_inputs.h"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "core/error.h"
#include "core/text.h"

namespace darknet::testing_fuzz {
namespace {
namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() { fs::create_directories(folder_); }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  fs::path put(const fs::path& name, const std::string& bytes) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream out(folder_ / name, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return folder_ / name;
  }

 private:
  fs::path folder_ = fs::temp_directory_path() / cat("dn-fuzz-", ::getpid());
};

}  // namespace

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

fs::path scratch_file(const fs::path& name, const std::string& bytes) {
  static const Scratch scratch;
  return scratch.put(name, bytes);
}

}  // namespace darknet::testing_fuzz
