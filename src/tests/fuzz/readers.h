// The readers of files as one function each, with sound inputs: what the fuzzers (fuzz_*.cpp,
// clang) and the mutation test (mutation_test.cpp, every compiler) feed. A reader may refuse its
// input with an Error and nothing else; it is bounded in time and memory whatever the input.
#pragma once
#include <string>
#include <vector>

namespace darknet::testing_fuzz {

struct FuzzedReader {
  std::string name;
  std::vector<std::string> (*samples)();   // accepted, each
  void (*read)(const std::string& bytes);  // throws Error where it refuses
  int mutations;                           // of each sample, in the mutation test
};

// In a fixed order; cfg is read with the network that it describes, onnx only with protobuf.
const std::vector<FuzzedReader>& fuzzed_readers();
const FuzzedReader& fuzzed_reader(const std::string& name);

}  // namespace darknet::testing_fuzz
