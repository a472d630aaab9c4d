// Which images train and which validate, where a data set does not say.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "annotation/annotated_set.h"
#include "core/named.h"

namespace darknet {

// What stays together, so that no image of the validation has a twin in training.
enum class KeepTogether : std::uint8_t {
  file,      // an image with its augmented copies ("x.rf.HASH.jpg", as Roboflow names them)
  sequence,  // images whose names differ in their last number: frames of a video
  folder,    // images of one folder
};

constexpr auto choices(KeepTogether) {
  return std::to_array<Named<KeepTogether>>({{"file", KeepTogether::file},
                                             {"sequence", KeepTogether::sequence},
                                             {"folder", KeepTogether::folder}});
}

struct SplitRule {
  double valid_share = .1;  // of the images, as nearly as the groups allow
  std::uint64_t seed = 1;
  KeepTogether keep = KeepTogether::file;
};

struct TrainValid {
  std::vector<std::size_t> train, valid;  // places, ascending
};

// Of the images at `places`. The same seed and names give the same split on every machine. Throws
// where one side would have no image.
TrainValid split_images(const AnnotatedSet&, const std::vector<std::size_t>& places,
                        const SplitRule&);

// Which of the set's splits is for training and which for validation: those that the caller names,
// else by their names. Null where there is none.
struct SplitRoles {
  const AnnotatedSplit* train = nullptr;
  const AnnotatedSplit* valid = nullptr;
};
SplitRoles roles_of(const AnnotatedSet&, const std::string& train, const std::string& valid);

}  // namespace darknet
