// Memory of the emulated devices.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/emulator/fault_check.h"
#include "tests/emulator/memory.h"

namespace emulator {
namespace {

TEST(EmulatedMemory, BeginsAlignedAndFilledWithPoison) {
  Memory memory(1 << 20);
  for (const std::size_t bytes : {1, 512, 513}) {
    void* const p = memory.allocate(bytes, MemoryKind::device, 0);
    EXPECT_EQ(reinterpret_cast<Address>(p) % Memory::kAlignment, 0u);
    const unsigned char* const v = memory.view(p, bytes, 0);
    EXPECT_TRUE(std::all_of(v, v + bytes, [](auto b) { return b == Memory::kPoison; }));
  }
}

TEST(EmulatedMemory, NoRoomGivesNull) {
  Memory memory(2048);
  void* const first = memory.allocate(1024, MemoryKind::device, 0);
  void* const second = memory.allocate(1024, MemoryKind::device, 0);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(memory.allocate(1, MemoryKind::device, 0), nullptr);
  memory.release(first, MemoryKind::device);
  EXPECT_EQ(memory.allocate(1025, MemoryKind::device, 0), nullptr);
  EXPECT_EQ(memory.allocate(1024, MemoryKind::device, 0), first);
  EXPECT_EQ(memory.allocate(~std::size_t{0}, MemoryKind::device, 0), nullptr);
}

TEST(EmulatedMemory, AnAllocationOfNoBytesIsNotGivenTwice) {
  Memory memory(1024);
  void* const empty = memory.allocate(0, MemoryKind::device, 0);
  EXPECT_NE(memory.allocate(512, MemoryKind::device, 0), nullptr);
  const void* const next = memory.allocate(512, MemoryKind::device, 0);
  EXPECT_TRUE(next == nullptr || next != empty);
}

TEST(EmulatedMemory, IsReleasedOnceAndAsItWasAllocated) {
  Memory memory(1 << 20);
  void* const p = memory.allocate(8, MemoryKind::device, 0);
  const auto release = [&](void* q, MemoryKind kind) { memory.release(q, kind); };
  message_of_fault(FaultKind::illegal_address, [&] { release(p, MemoryKind::pool); });
  message_of_fault(FaultKind::illegal_address,
                   [&] { release(static_cast<char*>(p) + 4, MemoryKind::device); });
  release(p, MemoryKind::device);
  message_of_fault(FaultKind::illegal_address, [&] { release(p, MemoryKind::device); });
}

TEST(EmulatedMemory, BytesThatWrapAroundAreRefused) {
  Memory memory(1 << 20);
  const auto p = reinterpret_cast<Address>(memory.allocate(16, MemoryKind::device, 0));
  EXPECT_NO_THROW(memory.require(p, 16, 0));
  for (const std::size_t bytes : {std::size_t{17}, std::size_t{1} << 40, ~std::size_t{0}})
    EXPECT_THROW(memory.require(p, bytes, 0), Fault) << bytes;
}

TEST(EmulatedMemory, CountsWhatIsInUseOfEachDevice) {
  Memory memory(1 << 20);
  void* const p = memory.allocate(1000, MemoryKind::device, 0);
  memory.allocate(10, MemoryKind::pool, 0);
  memory.allocate(10, MemoryKind::page_locked, 0);
  memory.allocate(7, MemoryKind::device, 1);
  EXPECT_EQ(memory.in_use(0), 1010u);
  EXPECT_EQ(memory.in_use(1), 7u);
  memory.release(p, MemoryKind::device);
  EXPECT_EQ(memory.in_use(0), 10u);
}

}  // namespace
}  // namespace emulator
