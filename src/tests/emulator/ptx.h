// Reading PTX (NVIDIA, "PTX ISA"), as far as nvcc writes it for the kernels of this program.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tests/emulator/kernel.h"

namespace emulator {

struct SharedVariable {
  std::int64_t bytes = 0, alignment = 1;
};

// The text of a module. Its kernels are decoded when they are first asked for.
class Module {
 public:
  // Throws Fault at a variable that it does not understand. Module variables are allocated in
  // `memory` for `device`.
  Module(std::string text, Memory& memory, int device);
  bool has(std::string_view kernel) const;
  // Throws Fault, naming the instruction, where it knows one not.
  const Kernel& kernel(std::string_view name);

 private:
  struct Entry {
    std::string_view parameters, body;
  };
  void read_variables(Memory&, int device);

  std::string text_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, SharedVariable, std::less<>> shared_;
  std::map<std::string, std::uint64_t, std::less<>> variables_;  // address of each
  std::map<std::string, std::unique_ptr<Kernel>, std::less<>> kernels_;
};

}  // namespace emulator
