// What the tests of losses share: a loss of a list at one logit, sections of keys, messages.
#pragma once
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "losses/losses.h"

namespace darknet::testing_losses {

struct Example {
  double t;
  bool positive;
};
using Examples = std::vector<Example>;

template <class T>
T value(const LogitLoss& loss, T x, const Example& e) {
  return std::visit([&](const auto& l) { return l.value(x, T(e.t), e.positive); }, loss);
}

template <class T>
T gradient(const LogitLoss& loss, T x, const Example& e) {
  return std::visit([&](const auto& l) { return l.gradient(x, T(e.t), e.positive); }, loss);
}

inline Section section_of(const std::string& keys) {
  Section section("yolo", {"net.cfg", 1});
  int line = 2;
  std::istringstream in(keys);
  for (std::string text; std::getline(in, text); ++line)
    section.add(text.substr(0, text.find('=')), text.substr(text.find('=') + 1), line);
  return section;
}

template <class F>
std::string error_of(F f) {
  try {
    f();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double logit(double p) { return std::log(p / (1 - p)); }

inline LogitLoss focal(float gamma, float alpha) { return losses::Focal{gamma, alpha}; }

inline constexpr Example kPositive{1, true}, kNegative{0, false};

}  // namespace darknet::testing_losses
