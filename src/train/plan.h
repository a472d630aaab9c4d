// What a cfg for a new data set should hold, as pure functions of what was measured: input size,
// anchors per head, batch and subdivisions, length. train/draft.h measures and writes the cfg.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "detect/head.h"
#include "eval/imbalance.h"

namespace darknet {

inline constexpr double kMinObjectPixels =
    kSmallPixels;                                 // side of a small object at the network's input
inline constexpr double kStridesOfAnAnchor = 4;   // side of the largest anchor of a finer head
inline constexpr double kSmallObjectShare = .05;  // the share of objects that may be smaller

// The nearest-rank percentile: the smallest value that at least `share` (0 to 1) of all values do
// not exceed. 0 where there are none.
double percentile(std::vector<double> values, double share);

// Sides are sqrt(width * height). `smallest`: the 5th percentile of the sides, in fractions of an
// image that is stretched to a square of side 1.
struct InputQuestion {
  double smallest = 0, aspect = 1;                      // aspect: width / height of the images
  std::int64_t usual_pixels = std::int64_t{416} * 416;  // input area that the network is made for
  std::int64_t max_pixels = std::int64_t{1024} * 1024;  // what memory allows
};
struct InputPlan {
  std::int64_t width = 0, height = 0;  // multiples of 32
  double smallest = 0;                 // that percentile at this input, pixels
  bool raised = false;                 // above usual_pixels, for the sake of small objects
  bool limited = false;                // objects stay below kMinObjectPixels: max_pixels
};
InputPlan plan_input(const InputQuestion&);

// Which anchors (indices; `by_area` is sorted by area) belong to which head; one entry per stride,
// `strides` ascending. An anchor belongs to the finest head on which its side is below four strides
// (AlexeyAB: 30 pixels at stride 8, 60 at 16), else to the coarsest; every head gets at least one.
// Throws where there are fewer anchors than heads.
std::vector<std::vector<std::int64_t>> split_anchors(std::span<const AnchorShape> by_area,
                                                     std::span<const std::int64_t> strides);

// Whether the names hold "left" or "right" as a word ("turn left", "arrow_right", "LeftHand"): a
// mirrored image would then teach the wrong class.
bool names_hold_sides(std::span<const std::string> names);

// The smallest divisor of `batch` with which a part of it, of `per_image` bytes an image next to
// `fixed` bytes, fits into `budget`; `batch` itself where not even one image does.
std::int64_t plan_subdivisions(std::int64_t batch, double fixed, double per_image, double budget);

// Iterations where the user asks for no length: 100 epochs, but at least 1500 iterations unless
// these are more than 300 epochs, and at most 20000 unless these are fewer than 10 epochs.
std::int64_t usual_iterations(std::int64_t images, std::int64_t batch);

// A batch for runs of few iterations: many small steps reach further than few large ones. Halved
// while it exceeds 16 and gives fewer than 4000 iterations of `images_in_all` images.
std::int64_t plan_batch(std::int64_t usual, double images_in_all);
// The learning rate falls with the square root of the batch (Krizhevsky 2014).
double rate_for_batch(double usual_rate, std::int64_t usual_batch, std::int64_t batch);

}  // namespace darknet
