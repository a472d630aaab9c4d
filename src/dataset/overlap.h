// Images that the lists for training and for validation share: an evaluation on them says nothing
// about new ones.
#pragma once
#include <cstdint>
#include <string>

#include "dataset/image_paths.h"

namespace darknet {

// Every image of the validation list counts once, under the first that holds.
struct ListOverlap {
  std::int64_t same_path = 0, same_bytes = 0, nearly_same = 0;
  std::int64_t images = 0;           // of the validation list
  double compared = 1;               // share of the pairs whose pixels were compared in time
  std::string first, first_partner;  // one such image, and the one of the training list
  std::int64_t all() const { return same_path + same_bytes + nearly_same; }
};

// Compares paths, bytes (of files of one size), and what the images show (image/perceptual_hash.h).
// Decoding stops after `seconds`; images are taken evenly from both lists. Images that cannot be
// read are skipped: others report them.
ListOverlap find_overlap(const ImagePaths& train, const ImagePaths& valid, double seconds);

}  // namespace darknet
