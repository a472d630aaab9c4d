#include "nn/weights_file.h"

#include <cstring>

#include "core/error.h"
#include "core/file.h"
#include "core/file_format.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxWeightsBytes = std::uint64_t{16} << 30;

}  // namespace

WeightsFile::WeightsFile(const std::filesystem::path& path)
    : bytes_(read_file(path, kMaxWeightsBytes)), path_(path.string()) {
  read_header();
}

void WeightsFile::read_header() {
  std::int32_t version[3];
  take(version, sizeof version, "the header");
  const auto [major, minor, revision] = version;
  if (major < 0 || minor < 0 || revision < 0 || major > 1000 || minor > 1000 || revision > 1000000)
    fail(path_, ": this is not a .weights file: its first 12 bytes are no version number",
         in_place_of(path_, kWeightsFormat));
  header_ = {.major = major, .minor = minor, .revision = revision};
  if (major * 10 + minor < 2) {  // the older header counts images in 32 bits
    std::uint32_t seen = 0;
    take(&seen, sizeof seen, "the header");
    header_.seen = seen;
  } else {
    take(&header_.seen, sizeof header_.seen, "the header");
  }
  header_.bytes = at_;
}

void WeightsFile::take(void* to, std::size_t bytes, const std::string& what) {
  if (left() < bytes)
    fail(path_, ": the file is too short: ", what, " needs ", bytes, " bytes, the file has ",
         left(), " more of its ", bytes_.size(),
         "; it was cut short, or these are weights of another network");
  std::memcpy(to, bytes_.data() + at_, bytes);
  at_ += bytes;
}

}  // namespace darknet
