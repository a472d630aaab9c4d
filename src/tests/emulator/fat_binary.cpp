#include "tests/emulator/fat_binary.h"

#include <zstd.h>

#include <cstdint>
#include <cstring>

#include "tests/emulator/fault.h"

namespace emulator {
namespace {

// As CUDA 13 writes them; the layouts are not documented.
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

std::string text_of(const Entry& entry, const unsigned char* data) {
  std::string text;
  if (entry.flags & kLz4)
    throw Fault(FaultKind::instruction,
                "device code compressed by LZ4; compile it with nvcc --compress-mode=none");
  if (entry.flags & kZstd) {
    text.resize(entry.whole_bytes);
    const std::size_t bytes =
        ZSTD_decompress(text.data(), text.size(), data, entry.compressed_bytes);
    if (ZSTD_isError(bytes))
      throw Fault(FaultKind::instruction, std::string("device code: ") + ZSTD_getErrorName(bytes));
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
