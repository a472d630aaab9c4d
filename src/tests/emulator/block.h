// Running a kernel: blocks one after the other, the lanes of a warp together. Lanes whose branches
// differ are carried on in groups, always the one that is furthest behind, so that they meet again.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tests/emulator/fault.h"
#include "tests/emulator/kernel.h"
#include "tests/emulator/memory.h"

namespace emulator {

struct Grid {
  std::uint32_t blocks = 1, threads = 1;  // side by side; threads of a block
  std::uint32_t rows = 1;                 // of blocks
};

// Executions of each instruction of a kernel, summed over threads.
using Counts = std::vector<std::uint64_t>;

class Block;

class Warp {
 public:
  Warp(Block&, std::uint32_t first_thread, std::uint32_t threads, std::uint64_t* slots);
  void begin_block();

  std::uint64_t* slot(std::int32_t index) { return slots_ + index * kLanes; }
  Block& block() { return *block_; }
  std::uint32_t thread(int lane) const { return first_thread_ + static_cast<std::uint32_t>(lane); }
  unsigned char* local(int lane);

  // Until every lane has ended, or waits at a barrier.
  void run();
  // The index of the barrier where the lanes wait, or -1: they have ended.
  std::int32_t barrier() const { return barrier_; }
  void pass_barrier();

 private:
  struct Group {
    std::int32_t at;
    LaneMask lanes;
  };
  void run_furthest_behind();
  void split(std::int32_t at, LaneMask lanes);
  LaneMask guarded(const Instruction&, LaneMask);

  Block* block_;
  std::uint32_t first_thread_;
  std::uint64_t* slots_;  // kLanes of each
  std::vector<unsigned char> local_;
  std::vector<Group> groups_;  // by `at`, descending: the last is furthest behind
  std::int32_t barrier_ = -1;
  LaneMask all_;
};

// Checks alignment; throws Fault.
inline void require_aligned(Address at, std::int32_t bytes) {
  if (at % static_cast<Address>(bytes) != 0)
    throw Fault(FaultKind::misaligned_address,
                std::to_string(bytes) + " bytes at an address that is no multiple of them");
}

// Who touched a byte of shared memory since the last barrier: two threads, of which one writes, are
// a race.
struct Touched {
  std::uint32_t write_epoch = 0, read_epoch = 0;
  std::uint32_t writer = 0, reader = 0;
  bool several_readers = false;
};

// Memory that the kernels of a host thread have one after the other: to take it anew for each block
// took a third of the time.
struct BlockMemory {
  std::vector<std::uint64_t> slots;  // of all warps
  std::vector<unsigned char> shared;
  std::vector<Touched> touched;  // each byte of it
  std::uint32_t epoch = 0;       // from barrier to barrier, of all blocks of all kernels
};

// One block after the other.
class Block {
 public:
  Block(const Kernel&, const Grid&, std::span<const unsigned char> parameters, const Memory&,
        int device, Counts&, BlockMemory&);
  Block(const Block&) = delete;  // its warps refer to it
  Block& operator=(const Block&) = delete;

  void run(std::uint32_t index);

  const Kernel& kernel() const { return kernel_; }
  const Grid& grid() const { return grid_; }
  std::uint32_t index() const { return index_; }
  Counts& counts() { return counts_; }

  // Where the bytes of an address lie, after all checks. Each throws Fault.
  unsigned char* global(Address, std::int32_t bytes, bool write);
  unsigned char* shared(Address, std::int32_t bytes, bool write, std::uint32_t thread);
  unsigned char* parameter(Address, std::int32_t bytes) const;
  unsigned char* generic(Address, std::int32_t bytes, bool write, Warp&, int lane);

 private:
  void touch(Touched&, bool write, std::uint32_t thread, Address) const;

  const Kernel& kernel_;
  Grid grid_;
  std::uint32_t index_ = 0;
  std::span<const unsigned char> parameters_;
  const Memory& memory_;
  int device_;
  Counts& counts_;
  BlockMemory& own_;
  const Allocation* last_ = nullptr;  // that an access fell into
  std::vector<Warp> warps_;
};

inline unsigned char* Block::global(Address at, std::int32_t bytes, bool) {
  require_aligned(at, bytes);
  const auto size = static_cast<std::size_t>(bytes);
  if (!last_ || !last_->holds(at, size)) last_ = &memory_.require(at, size, device_);
  return last_->at(at);
}

inline unsigned char* Block::parameter(Address at, std::int32_t bytes) const {
  require_aligned(at, bytes);
  if (at + static_cast<Address>(bytes) > parameters_.size())
    throw Fault(FaultKind::illegal_address, "behind the parameters");
  return const_cast<unsigned char*>(parameters_.data()) + at;
}

// All blocks, the last one first: nothing may rely on their order. `parameters`: of the layout of
// Kernel::parameters. Throws Fault, naming the instruction and the thread.
void run_kernel(const Kernel&, const Grid&, std::span<const unsigned char> parameters,
                const Memory&, int device, Counts&);

}  // namespace emulator
