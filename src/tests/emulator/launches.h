// The kernels of the program, from what it registers at its start, and what they cost.
#pragma once
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/gpu.h"
#include "tests/emulator/ptx.h"

namespace emulator {

class Launches {
 public:
  static Launches& instance();

  void* add_fat_binary(const void* wrapper);
  void add_kernel(void* fat_binary, const void* host_function, const char* name);

  cudaError_t launch(const void* host_function, dim3 grid, dim3 block, void* const* arguments,
                     std::size_t dynamic_shared, cudaStream_t);
  // A line of JSON for each kernel that ran, appended to the file that EMULATED_GPU_STATISTICS
  // names: launches, threads, and instructions by what they cost (kernel.h, Cost).
  void write_statistics() const;

 private:
  struct Binary {
    const void* wrapper;
    std::map<int, std::unique_ptr<Module>> modules;  // by device
  };
  struct Registered {
    Binary* binary;
    std::string name;
  };
  struct Ran {
    std::uint64_t launches = 0, threads = 0, global_bytes = 0;
    std::vector<std::uint64_t> by_cost;
  };
  const Kernel& find(const Registered&, int device);
  void count(const Kernel&, const Grid&, const Counts&);

  std::vector<std::unique_ptr<Binary>> binaries_;
  std::map<const void*, Registered> kernels_;
  std::map<std::string, Ran> ran_;
};

}  // namespace emulator
