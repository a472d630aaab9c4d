// What a real GPU, or a tool such as compute-sanitizer, would refuse: thrown where it is found,
// turned into the CUDA error of the device at the border of the runtime.
#pragma once
#include <stdexcept>
#include <string>

namespace emulator {

enum class FaultKind { illegal_address, misaligned_address, barrier, race, instruction };

class Fault : public std::runtime_error {
 public:
  Fault(FaultKind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  FaultKind kind() const { return kind_; }

 private:
  FaultKind kind_;
};

}  // namespace emulator
