// Device code as it lies in a program.
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstdint>
#include <string>

#include "tests/emulator/fat_binary.h"
#include "tests/emulator/fat_binary_sample.h"
#include "tests/emulator/fault_check.h"

namespace emulator {
namespace {

TEST(DeviceCode, IsThePtxOfTheNewestArchitecture) {
  constexpr std::uint64_t kZstd = 0x8000, kLz4 = 0x2000;
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
  binary.add(1, 110, packed.size(), kLz4, packed, text.size());
  message_of_fault(FaultKind::instruction, [&] { ptx_of(binary.wrapper()); });
  message_of_fault(FaultKind::instruction, [&] { ptx_of(FatBinary("text").wrapper(7)); });
  EXPECT_EQ(ptx_of(FatBinary().wrapper()), "");
}

}  // namespace
}  // namespace emulator
