#include "tests/fuzz/readers.h"

#include "core/error.h"
#include "tests/fuzz/reader_inputs.h"

namespace darknet::testing_fuzz {

const std::vector<FuzzedReader>& fuzzed_readers() {
  static const std::vector<FuzzedReader> all = [] {
    std::vector<FuzzedReader> readers = network_readers();
    for (FuzzedReader& r : data_readers()) readers.push_back(std::move(r));
    return readers;
  }();
  return all;
}

const FuzzedReader& fuzzed_reader(const std::string& name) {
  for (const FuzzedReader& r : fuzzed_readers())
    if (r.name == name) return r;
  fail("no reader is called ", name);
}

}  // namespace darknet::testing_fuzz
