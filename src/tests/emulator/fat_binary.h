// The device code that nvcc puts into a program, as __cudaRegisterFatBinary() gets it.
#pragma once
#include <string>

namespace emulator {

// The PTX of the newest architecture in it; "" without any. Throws Fault where it is compressed in
// a way that is unknown here.
std::string ptx_of(const void* fat_binary_wrapper);

}  // namespace emulator
