// Device code as it lies in a program.
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "tests/emulator/fat_binary.h"
#include "tests/emulator/fat_binary_sample.h"
#include "tests/emulator/fault_check.h"

namespace emulator {
namespace {

TEST(DeviceCode, IsThePtxOfTheNewestArchitecture) {
  constexpr std::uint64_t kZstd = 0x8000;
  const std::string text(300, 'x');
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 1));
  FatBinary binary;
  binary.add(1, 70, 0, 0, "old", 3);
  binary.add(2, 100, 0, 0, "machine code", 12);
  EXPECT_EQ(ptx_of(FatBinary(binary).wrapper()), "old");
  binary.add(1, 90, packed.size(), kZstd, packed, text.size());
  binary.add(1, 80, 0, 0, "between", 7);
  EXPECT_EQ(ptx_of(FatBinary(binary).wrapper()), text);
  FatBinary spoiled = binary;
  spoiled.add(1, 100, packed.size() - 1, kZstd, packed, text.size());
  message_of_fault(FaultKind::instruction, [&] { ptx_of(spoiled.wrapper()); });
  message_of_fault(FaultKind::instruction, [&] { ptx_of(FatBinary("text").wrapper(7)); });
  EXPECT_EQ(ptx_of(FatBinary().wrapper()), "");
}

std::string unpacked_by_lz4(const std::string& packed, std::size_t bytes) {
  constexpr std::uint64_t kLz4 = 0x2000;
  FatBinary binary;
  binary.add(1, 90, packed.size(), kLz4, packed, bytes);
  return ptx_of(binary.wrapper());
}

// As CUDA 12 compresses it.
TEST(DeviceCode, IsUnpackedByLz4) {
  EXPECT_EQ(unpacked_by_lz4(std::string("\x30"
                                        "abc",
                                        4),
                            3),
            "abc");
  // 2 literals, 5 bytes from 2 before, 1 literal
  EXPECT_EQ(unpacked_by_lz4(std::string("\x21"
                                        "ab\x02\0\x10"
                                        "c",
                                        7),
                            8),
            "abababac");
  // 16 literals; 19 + 255 + 6 bytes from 1 before; 1 literal
  const std::string literals = "0123456789abcdef";
  EXPECT_EQ(unpacked_by_lz4("\xff\x01" + literals + std::string("\x01\0\xff\x06\x10g", 6), 297),
            literals + std::string(280, 'f') + "g");
}

TEST(DeviceCode, DamagedByLz4IsRefused) {
  for (const auto& [packed, bytes] : std::initializer_list<std::pair<std::string, std::size_t>>{
           {std::string("\x30"
                        "ab",
                        3),
            3},  // literals missing
           {std::string("\x30"
                        "abc",
                        4),
            2},  // more than said
           {std::string("\x30"
                        "abc",
                        4),
            4},  // less than said
           {std::string("\x20"
                        "ab\x03\0\x10"
                        "c",
                        7),
            7},  // from before the start
           {std::string("\x20"
                        "ab\0\0\x10"
                        "c",
                        7),
            7},  // from nowhere
           {std::string("\x2f"
                        "ab\x01\0\xff",
                        6),
            1000},  // its length is cut off
           {std::string("\x20"
                        "ab\x01",
                        4),
            6},  // its distance is
           {std::string("\x2f"
                        "ab\x01\0\xff\xff\0",
                        8),
            100}})  // a copy longer than said
    message_of_fault(FaultKind::instruction, [&] { unpacked_by_lz4(packed, bytes); });
}

}  // namespace
}  // namespace emulator
