#include "tests/emulator/fat_binary.h"

#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "tests/emulator/fault.h"

namespace emulator {
namespace {

// As CUDA 12 and 13 write them; the layouts are not documented.
struct Wrapper {
  std::uint32_t magic, version;
  const unsigned char* binary;
};
struct Header {
  std::uint32_t magic;
  std::uint16_t version, header_bytes;
  std::uint64_t bytes;  // of all entries behind the header
};
struct Entry {
  std::uint16_t kind, version;
  std::uint32_t header_bytes;
  std::uint64_t bytes;  // of what follows its header
  std::uint32_t compressed_bytes, unknown_1;
  std::uint32_t isa_version, architecture;
  std::uint32_t unknown_2, unknown_3;
  std::uint64_t flags;
  std::uint64_t unknown_4;
  std::uint64_t whole_bytes;  // uncompressed
};
constexpr std::uint32_t kWrapperMagic = 0x466243B1, kHeaderMagic = 0xBA55ED50;
constexpr std::uint16_t kPtx = 1;
constexpr std::uint64_t kLz4 = 0x2000, kZstd = 0x8000;

[[noreturn]] void damaged(const std::string& why) {
  throw Fault(FaultKind::instruction, "device code: " + why);
}

// A block of LZ4, which CUDA 12 compresses with: literals and copies of earlier text by turns.
class Lz4Block {
 public:
  explicit Lz4Block(std::span<const unsigned char> bytes) : rest_(bytes) {}
  std::string text(std::size_t expected) {
    std::string out;
    while (!rest_.empty()) {
      const std::size_t token = next();
      const std::size_t literals = length(token >> 4);
      if (literals > std::min(rest_.size(), expected - out.size()))
        damaged("LZ4 runs over its end");
      out.append(reinterpret_cast<const char*>(rest_.data()), literals);
      rest_ = rest_.subspan(literals);
      if (rest_.empty()) break;  // the last sequence has no copy
      const std::size_t low = next(), back = low | next() << 8;
      const std::size_t copied = length(token & 15) + 4;
      if (back == 0 || back > out.size()) damaged("LZ4 copies from before its start");
      if (copied > expected - out.size()) damaged("LZ4 runs over its end");
      for (std::size_t i = 0; i < copied; ++i) out += out[out.size() - back];  // they may overlap
    }
    if (out.size() != expected) damaged("LZ4 ends too early");
    return out;
  }

 private:
  std::size_t next() {
    if (rest_.empty()) damaged("LZ4 ends too early");
    const unsigned char byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  std::size_t length(std::size_t n) {  // 15: more follows
    if (n < 15) return n;
    std::size_t more;
    do n += more = next();
    while (more == 255);
    return n;
  }
  std::span<const unsigned char> rest_;
};

std::string text_of(const Entry& entry, const unsigned char* data) {
  std::string text;
  if (entry.flags & kLz4) {
    text = Lz4Block({data, entry.compressed_bytes}).text(entry.whole_bytes);
  } else if (entry.flags & kZstd) {
    text.resize(entry.whole_bytes);
    const std::size_t bytes =
        ZSTD_decompress(text.data(), text.size(), data, entry.compressed_bytes);
    if (ZSTD_isError(bytes)) damaged(ZSTD_getErrorName(bytes));
  } else {
    text.assign(reinterpret_cast<const char*>(data), entry.bytes);
  }
  return text.c_str();  // without the zeros at its end
}

}  // namespace

std::string ptx_of(const void* fat_binary_wrapper) {
  Wrapper wrapper;
  std::memcpy(&wrapper, fat_binary_wrapper, sizeof wrapper);
  Header header{};
  if (wrapper.magic == kWrapperMagic) std::memcpy(&header, wrapper.binary, sizeof header);
  if (header.magic != kHeaderMagic)
    throw Fault(FaultKind::instruction, "device code of a format that is unknown here");
  const unsigned char* at = wrapper.binary + header.header_bytes;
  const unsigned char* const end = at + header.bytes;
  std::string newest;
  std::uint32_t architecture = 0;
  while (at < end) {
    Entry entry;
    std::memcpy(&entry, at, sizeof entry);
    const unsigned char* const data = at + entry.header_bytes;
    if (entry.kind == kPtx && entry.architecture > architecture) {
      architecture = entry.architecture;
      newest = text_of(entry, data);
    }
    at = data + entry.bytes;
  }
  return newest;
}

}  // namespace emulator
