// A kernel of a PTX module, decoded for the interpreter. Every operand, whether a register, an
// immediate or a special register, is a slot: a 64-bit word for each lane of a warp.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/emulator/memory.h"

namespace emulator {

inline constexpr int kLanes = 32;
using LaneMask = std::uint32_t;
inline constexpr LaneMask kAllLanes = ~LaneMask{0};

class Warp;
struct Instruction;
using Execute = void (*)(Warp&, const Instruction&, LaneMask);

enum class Flow : std::uint8_t { next, branch, barrier, exit };

// What an instruction costs, for statistics.
enum class Cost : std::uint8_t {
  other,
  global_memory,
  shared_memory,
  parameter,
  divide_64,  // integer division and remainder
  divide_32,
  divide_float,  // correctly rounded division, reciprocal, square root
  barrier,
  count
};

struct Instruction {
  Execute execute = nullptr;
  Flow flow = Flow::next;
  Cost cost = Cost::other;
  std::int32_t variant = 0;  // of `execute`: a comparison, a rounding
  std::int32_t guard = -1;   // the slot of its predicate, or -1
  bool guard_negated = false;
  std::array<std::int32_t, 4> to{-1, -1, -1, -1};    // slots that it writes
  std::array<std::int32_t, 4> from{-1, -1, -1, -1};  // slots that it reads
  std::int32_t address = -1;                         // ld, st: the slot of the address
  std::int64_t offset = 0;                           // bytes added to it
  std::int32_t bytes = 0;                            // ld, st: of one element
  std::int32_t elements = 1;                         // ld, st: of a vector
  std::int32_t target = -1;                          // bra: an index of Kernel::code
  std::string text;                                  // of the PTX, for messages
};

// The slots of special registers come first.
enum SpecialSlot : std::int32_t {
  kThreadX,
  kThreads,  // of a block
  kBlockX,
  kBlockY,
  kBlocks,  // of the grid, side by side
  kRows,    // of blocks
  kZero,    // the other indices
  kOne,
  kLane,
  kSpecialSlots
};

struct Constant {
  std::int32_t slot;
  std::uint64_t value;
};

struct Parameter {
  std::int64_t offset, bytes;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  std::int64_t parameter_bytes = 0;
  std::int64_t shared_bytes = 0;
  std::int64_t local_bytes = 0;  // of a thread
  std::int32_t slots = kSpecialSlots;
  std::vector<Constant> constants;
  std::vector<Instruction> code;
};

// Generic addresses of the spaces that are not global memory.
inline constexpr Address kSharedWindow = Address{1} << 56;
inline constexpr Address kLocalWindow = Address{2} << 56;
inline constexpr Address kParameterWindow = Address{3} << 56;
inline constexpr Address kWindowMask = Address{0xFF} << 56;

}  // namespace emulator
