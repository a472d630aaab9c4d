// Files, labels and flags that must be equal in all ranks of a training run: different inputs give
// no useful result, and ranks that exchange different arrays wait for each other for ever.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "core/ranks.h"
#include "dataset/labels.h"
#include "train/trainer.h"

namespace darknet {

struct RankInput {
  std::string what;    // "-map", "the number of images of train="
  std::string value;   // as messages show it
  std::string remedy;  // after a semicolon
};

// Number and checksum of the paths as they are listed, and of the labels. key: "train", "valid".
std::vector<RankInput> inputs_of_list(const std::string& key, const LabelledImages&);
RankInput input_of_cfg(std::span<const Section>);  // with what flags have changed
RankInput input_of_flag(const std::string& flag, const std::string& value);
// What decides which arrays the ranks exchange in every step. `cfg`: with what flags have changed.
std::vector<RankInput> inputs_of_steps(const TrainingSettings&, std::span<const Section> cfg);

// A collective; each rank gives the same inputs in the same order. Throws a CommonFailure that
// names the first that differs and the first rank in which it does.
void require_equal(Ranks&, std::span<const RankInput>);

}  // namespace darknet
