// The readers of files on thousands of damaged files: each may refuse its input with an Error and
// nothing else. Deterministic; meant to run under the address and undefined-behaviour sanitizers
// too (preset asan).
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"
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

class Mutation : public testing::TestWithParam<testing_fuzz::FuzzedReader> {};

TEST_P(Mutation, IsReadOrRefused) {
  Outcome all;
  for (const std::string& sample : GetParam().samples()) {
    const Outcome o = try_damaged(sample, GetParam().mutations, GetParam().read);
    all.accepted += o.accepted, all.refused += o.refused;
  }
  EXPECT_GT(all.accepted, 10);
  EXPECT_GT(all.refused, GetParam().mutations / 6);
}

INSTANTIATE_TEST_SUITE_P(Readers, Mutation, testing::ValuesIn(testing_fuzz::fuzzed_readers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace darknet
