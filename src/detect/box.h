// A box by its centre, in fractions of the image (or any one unit), and a truth from a label file.
// Overlaps and their gradients are in detect/overlap.h.
#pragma once
#include <cstdint>
#include "core/hd.h"

namespace darknet {

template <class T>
struct BasicBox {
  T x = 0, y = 0, w = 0, h = 0;  // centre and extent
  DN_HD T left() const { return x - w / 2; }
  DN_HD T right() const { return x + w / 2; }
  DN_HD T top() const { return y - h / 2; }
  DN_HD T bottom() const { return y + h / 2; }
  DN_HD T area() const { return w * h; }
};
using Box = BasicBox<float>;

// One labelled object: the box in fractions of the network's input image, 0 <= x,y <= 1.
struct Truth {
  Box box;
  std::int32_t class_id = 0;
};

// The truths of a batch in device memory: image n has counts[n] <= capacity of them, in file order,
// from data[n * capacity].
struct Truths {
  const Truth* data = nullptr;
  const std::int32_t* counts = nullptr;
  std::int64_t images = 0, capacity = 0;
};

// What the box of a detection is a fraction of: the network's input, or the image that was placed
// in it, with grey bars where it is letterboxed.
enum class BoxFrame : std::uint8_t { input, image };

// One detected object, after decoding.
template <BoxFrame kFrame>
struct DetectionIn {
  Box box;
  std::int32_t class_id = 0;
  float objectness = 0;
  float probability = 0;  // objectness * class probability
};
using InputDetection = DetectionIn<BoxFrame::input>;
using Detection = DetectionIn<BoxFrame::image>;

}  // namespace darknet
