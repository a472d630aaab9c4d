// Parts of the program that are opened at the first call that needs them, since the libraries that
// they are linked with would make every start slower: shared objects next to the program. A module
// calls nothing of the program except what headers define. What each offers is a struct of
// functions, declared by the code that calls it (image/opencv_modules.h, onnx/files.cpp).
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace darknet {

// The only symbol that a module exports: its struct, or null where `interface` differs from its
// DARKNET_MODULE_INTERFACE, a checksum of the headers that both sides include (CMakeLists.txt).
extern "C" {
using ModuleEntry = const void*(std::uint64_t interface);
[[gnu::visibility("default")]] ModuleEntry darknet_module;
}

// A module that is missing, of another build, or cannot be loaded. Not an Error: the files that it
// was to read may be sound, and training must not skip one for it.
class ModuleError : public std::runtime_error {
  using runtime_error::runtime_error;
};

// Opens a module, which stays open: what it returns lives as long as the process. Looks in the
// folder that the variable DARKNET_MODULES names; without it next to the program, then in
// ../lib/darknet from there. In libdarknet.so: next to the library, then in darknet/ and ../darknet
// from there. Throws ModuleError.
const void* open_module(const std::string& file);

// The functions of a module, which name its file. From any thread.
template <class Functions>
const Functions& functions_of() {
  static const auto& functions = *static_cast<const Functions*>(open_module(Functions::kFile));
  return functions;
}

}  // namespace darknet
