// What a network's memory is used for.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace darknet {

struct MemoryPart {
  const char* name;
  std::int64_t bytes;
};

struct MemoryUse {                       // bytes
  std::int64_t parameters = 0;           // values
  std::int64_t parameter_gradients = 0;  // training
  std::int64_t packed_weights = 0;       // copies of weights in the layouts of their algorithms
  // The input, and one arena of outputs, their gradients, what layers save, and workspaces.
  std::int64_t activations = 0;

  std::vector<MemoryPart> parts() const;  // all of the above
  std::int64_t total() const;
};

// "50.2 MiB (parameters 33.8, ...)", without parts that are empty.
std::string to_string(const MemoryUse&);

// A number of bytes in MiB: one decimal, or two digits of what is less than .1.
std::string mebibytes(std::int64_t bytes);

}  // namespace darknet
