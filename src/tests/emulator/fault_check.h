// What a fault says.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "tests/emulator/fault.h"

namespace emulator {

template <class F>
std::string message_of_fault(FaultKind kind, F f) {
  try {
    f();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), kind) << fault.what();
    return fault.what();
  }
  ADD_FAILURE() << "no fault";
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

}  // namespace emulator
