// Sentences that the help of several classifier commands has.
#pragma once

namespace darknet::cli {

inline constexpr const char* kClassRule =
    "The class of an image is the one whose name, a line of labels= (or names=) of the .data file, "
    "occurs in the image's path; exactly one must. In tar shards with .cls files it is the number "
    "in that of the image.";
inline constexpr const char* kMiddleOfImage =
    "Of each image the network sees the middle: its shorter side is scaled to the input, and what "
    "is left of the longer one is cut off at both ends.";

}  // namespace darknet::cli
