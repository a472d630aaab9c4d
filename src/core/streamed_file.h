// A file that is written little by little during long work and takes its name at the end.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/file.h"

namespace darknet {

// Collects text, and appends it to an AtomicFile's temporary next to `path` whenever there is
// enough: between two appends no file is open, and before the first nothing is on the disk.
// commit() puts the whole in the place of `path`; without it the temporary is removed and the
// previous file stays. Throws what AtomicFile throws; after a failure every call throws the
// same again.
class StreamedFile {
 public:
  StreamedFile(std::filesystem::path path, FileFormat format)
      : path_(std::move(path)), format_(std::move(format)) {}

  void append(std::string_view text);
  void flush();  // brings all text so far to the disk
  void commit();
  const std::filesystem::path& path() const { return path_; }

  static constexpr std::size_t kBufferBytes = std::size_t{16} << 10;

 private:
  std::filesystem::path path_;
  FileFormat format_;
  std::string buffer_, failure_;
  std::optional<AtomicFile> file_;  // from the first flush on
};

}  // namespace darknet
