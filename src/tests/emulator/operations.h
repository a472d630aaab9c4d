// What PTX's instructions do to the lanes of a warp.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "tests/emulator/kernel.h"

namespace emulator {

// An instruction as it is written: "ld.global.v2.f32" is {"ld", "global", "v2", "f32"}.
using Opcode = std::vector<std::string_view>;

struct Operation {
  Execute execute = nullptr;  // null: unknown
  Cost cost = Cost::other;
  std::int32_t variant = 0;  // of `execute`: a comparison, a rounding
};
Operation find_operation(const Opcode&);

// Bytes of "u32", "f16", ...; 1 of "pred"; 0 of what is no type.
int bytes_of_type(std::string_view);

}  // namespace emulator
