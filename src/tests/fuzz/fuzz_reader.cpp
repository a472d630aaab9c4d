// libFuzzer's entry of one reader, DARKNET_FUZZED.
#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/log.h"
#include "tests/fuzz/readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace darknet;
  static const testing_fuzz::FuzzedReader& reader = testing_fuzz::fuzzed_reader(DARKNET_FUZZED);
  static const log::WithoutWarnings quiet;
  try {
    reader.read({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {  // refused; anything else is a finding
  }
  return 0;
}
