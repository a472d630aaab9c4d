// What the tests of images of more than 8 bits and of any number of channels share.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/index.h"
#include "image/image.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_images {

inline std::uint16_t word_at(const Image& image, std::size_t i) {
  std::uint16_t value = 0;
  std::memcpy(&value, &image.pixels[2 * i], sizeof value);
  return value;
}
inline float float_at(const Image& image, std::size_t i) {
  float value = 0;
  std::memcpy(&value, &image.pixels[4 * i], sizeof value);
  return value;
}

// All different, up to 4095 and beyond.
inline std::vector<std::uint16_t> words(std::size_t count) {
  std::vector<std::uint16_t> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint16_t>(300 + 977 * i);
  return values;
}

inline std::string bytes_of_floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline Image input_of(const std::string& bytes, std::int64_t channels) {
  return decode_input(bytes, "x", {.channels = channels});
}

inline void expect_words(const Image& image, const std::vector<std::uint16_t>& expected) {
  ASSERT_EQ(image.depth, 2);
  ASSERT_EQ(image.value_of_one, 65535);
  ASSERT_EQ(image.pixels.size(), 2 * expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(word_at(image, i), expected[i]) << i;
}

inline bool has_libtiff() {
  const std::string bytes = tiff_of_samples(1, 1, 5, 8, {"abcde"});
  return testing_files::error_of([&] { input_of(bytes, 5); }).empty();
}

}  // namespace darknet::testing_images
