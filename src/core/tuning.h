// A table of the algorithm of each convolution, measured (train/tune.h) or remembered from a
// training run. It lies in a tuning file (`darknet bench -tune`) or a .state, and networks are made
// with it. A convolution without an entry takes the algorithm of the device's heuristic.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/ops.h"

namespace darknet {

// All that the choice of an algorithm depends on, apart from the device and its library.
struct ConvUse {
  ConvDirection direction = ConvDirection::forward;
  ConvSpec spec;
  Mode mode = Mode::inference;
  DType precision = DType::f32;
  bool f32_output = false, exact = false, deterministic = false;
};
ConvUse conv_use(ConvDirection, const ConvSpec&, const PlanOptions&);

struct ConvChoice {
  std::string algorithm;    // as ConvPlan::algorithm() names it
  double milliseconds = 0;  // 0: remembered, not measured
};

const char* name_of(ConvDirection);  // as in the files

class Tuning {
 public:
  Tuning() = default;
  explicit Tuning(std::string library) : library_(std::move(library)) {}

  const std::string& library() const { return library_; }  // Ops::name(): card, library, version
  std::int64_t size() const { return std::ssize(choices_); }
  const ConvChoice* find(const ConvUse&) const;  // null: none
  void put(const ConvUse&, ConvChoice);          // in place of an earlier one
  void add(const Tuning&);                       // its choices replace those of the same use
  std::string lines() const;                     // one JSON object a line

 private:
  std::string library_;
  std::map<std::string, ConvChoice> choices_;  // by the use as JSON
};

// Every table in the lines of a file, by library. Throws, naming file and line, on what is not a
// choice, and on a second one of the same use.
std::vector<Tuning> parse_tunings(const std::string& text, const std::string& file);
std::vector<Tuning> read_tunings(const std::filesystem::path&);
// Puts the choices into the file next to those it has, which is made where it is missing.
void merge_into_file(const std::filesystem::path&, const Tuning&);
// The file's choices for the device. Warns where it has none for this card and library. "": none.
Tuning tuning_for(const std::filesystem::path&, const Device&);

}  // namespace darknet
