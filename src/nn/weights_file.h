// The bytes of a .weights file, read from the front to the back. Which layer takes them:
// nn/weights.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace darknet {

struct WeightsHeader {
  std::int32_t major = 0, minor = 0, revision = 0;
  std::uint64_t seen = 0;  // images the file's network was trained on
  std::size_t bytes = 0;   // of the header
};

class WeightsFile {
 public:
  // Throws where the file cannot be read or does not begin with a header.
  explicit WeightsFile(const std::filesystem::path&);

  const WeightsHeader& header() const { return header_; }
  std::size_t left() const { return bytes_.size() - at_; }  // bytes that were not taken yet
  const std::string& bytes() const { return bytes_; }       // of the whole file
  const std::string& path() const { return path_; }

  // Copies the next `bytes` bytes. Throws, naming `what`, where fewer are left.
  void take(void* to, std::size_t bytes, const std::string& what);

 private:
  void read_header();

  std::string bytes_, path_;
  std::size_t at_ = 0;
  WeightsHeader header_;
};

}  // namespace darknet
