// The readers of files on thousands of damaged files: each may refuse its input with an Error and
// nothing else. Deterministic; meant to run under the address and undefined-behaviour sanitizers
// too (preset asan).
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/tuning.h"
#include "tests/fuzz/readers.h"

namespace darknet {
namespace {

std::size_t place(Rng& rng, const std::string& s) {
  return s.empty() ? 0 : to_size(rng.below(std::ssize(s)));
}

// One to four small damages: bytes changed, cut, repeated, or replaced by what readers stumble on.
std::string damaged(std::string s, Rng& rng) {
  static const std::vector<std::string> nasty = {
      "-1", "99999999999999999999", "1e308",    "nan",      "=",          "[", "]", ",", "\n",
      "#",  std::string(1, '\0'),   "\xFF\xFF", "\xFF\xD9", "2147483648", "0"};
  for (std::int64_t n = 1 + rng.below(4); n > 0; --n) {
    const std::size_t at = place(rng, s), length = to_size(1 + rng.below(16));
    switch (rng.below(5)) {
      case 0:
        if (!s.empty()) s[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        s.erase(at, length);
        break;
      case 2:
        s.insert(at, s.substr(place(rng, s), length));
        break;
      case 3:
        s.insert(at, nasty[to_size(rng.below(std::ssize(nasty)))]);
        break;
      default:
        s.resize(at);
    }
  }
  return s;
}

struct Outcome {
  int accepted = 0, refused = 0;
};

Outcome try_damaged(const std::string& sound, int times,
                    const std::function<void(const std::string&)>& reader) {
  Outcome outcome;
  for (int i = 0; i < times; ++i) {
    Rng rng(7, static_cast<std::uint64_t>(i));
    const std::string input = i == 0 ? sound : damaged(sound, rng);
    try {
      reader(input);
      ++outcome.accepted;
    } catch (const Error& e) {
      EXPECT_NE(i, 0) << "the sound input was refused: " << e.what();
      EXPECT_STRNE(e.what(), "");
      ++outcome.refused;
    }  // anything else ends the test
  }
  return outcome;
}

TEST(MutationOfTuning, FilesAreReadOrRefused) {
  Tuning tuning("a card (9.0), a library 1.2.3");
  for (const std::int64_t size : {8, 16}) {
    const ConvSpec spec{.in = {1, size, size, 3}, .filters = 16, .size_y = 3, .size_x = 3};
    tuning.put(conv_use(ConvDirection::forward, spec, {}), {"1 fma", .25});
  }
  const Outcome o = try_damaged(tuning.lines(), 3000, [](const std::string& input) {
    for (const Tuning& t : parse_tunings(input, "x.tuning")) parse_tunings(t.lines(), "again");
  });
  EXPECT_GT(o.accepted, 20);
  EXPECT_GT(o.refused, 1000);
}

struct Damage {
  const char* reader;
  int times;              // for each of its samples
  int accepted, refused;  // at least
};

class Mutation : public testing::TestWithParam<Damage> {};

TEST_P(Mutation, IsReadOrRefused) {
  const testing_fuzz::FuzzedReader& reader = testing_fuzz::fuzzed_reader(GetParam().reader);
  Outcome all;
  for (const std::string& sample : reader.samples()) {
    const Outcome o = try_damaged(sample, GetParam().times, reader.read);
    all.accepted += o.accepted, all.refused += o.refused;
  }
  EXPECT_GT(all.accepted, GetParam().accepted);
  EXPECT_GT(all.refused, GetParam().refused);
}

INSTANTIATE_TEST_SUITE_P(
    Readers, Mutation,
    testing::Values(Damage{"cfg", 2000, 50, 1000}, Damage{"weights", 700, 10, 500},
                    Damage{"state", 700, 10, 300}, Damage{"labels", 6000, 100, 1000},
                    Damage{"images", 300, 10, 500}, Damage{"detections", 3000, 100, 1000},
                    Damage{"calibration", 1500, 50, 1000}),
    [](const auto& info) { return std::string(info.param.reader); });
#if defined(DARKNET_ONNX)
INSTANTIATE_TEST_SUITE_P(OnnxReader, Mutation, testing::Values(Damage{"onnx", 700, 20, 1000}));
#endif

}  // namespace
}  // namespace darknet
