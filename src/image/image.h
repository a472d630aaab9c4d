// Images in memory: rows top to bottom, channels interleaved, 8 bits a value but where a network
// takes more (read_input). Decoded and encoded by libjpeg, libpng, libtiff, OpenCV or stb
// (image/codec.h), with the same orientation and channels.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/index.h"
#include "core/rect.h"

namespace darknet {

struct Image {
  std::int64_t width = 0, height = 0, channels = 3;  // 3: RGB, 1: grey
  std::vector<std::uint8_t> pixels;
  // Bytes of a value, in this machine's order (1 and 2: unsigned, 4: float), and the value that is
  // 1 in a network's input.
  int depth = 1;
  float value_of_one = 255;

  Image() = default;
  Image(std::int64_t w, std::int64_t h, std::int64_t c, int bytes_of_value = 1)
      : width(w),
        height(h),
        channels(c),
        pixels(to_size(w * h * c * bytes_of_value)),
        depth(bytes_of_value),
        value_of_one(largest_value(bytes_of_value)) {}
  // Of a type; 1 of floats.
  static float largest_value(int depth) { return depth == 1 ? 255 : depth == 2 ? 65535 : 1; }
  std::uint8_t* at(std::int64_t x, std::int64_t y) {
    return &pixels[to_size((y * width + x) * channels * depth)];
  }
  const std::uint8_t* at(std::int64_t x, std::int64_t y) const {
    return &pixels[to_size((y * width + x) * channels * depth)];
  }
};

// Reads an image of any kind the library knows and turns it as its EXIF orientation says, in 8
// bits; alpha is dropped, 16 bits are cut to 8, other colour spaces become RGB; .npy files and
// TIFFs of more than 8 bits or 3 channels are displayed(). Throws, naming the file, where it is
// missing, no image, larger than 2^28 pixels, or cut short. A JPEG of which only the end marker is
// missing is taken, with a warning (image/image_warnings.h); of a GIF the first frame.
Image read_image(const std::filesystem::path&, std::int64_t channels = 3);
// `reduction`: 1, 2, 4 or 8, by which sides are divided (and rounded up) where can_reduce(): each
// pixel is the mean of as many, but for what libjpeg rounds. By less, or not at all, where the
// image is to be turned and its sides are no multiples.
Image decode_image(const std::string& bytes, const std::string& name, std::int64_t channels = 3,
                   int reduction = 1);
// What is wanted of an image.
struct Decoding {
  int reduction = 1;  // as above
  Rect part = {};     // in the image's pixels before it is reduced, upright; empty: all of it
};
struct ImagePart {
  Image image;                         // the pixels of the part
  Rect part;                           // its place in the whole image at the same reduction
  std::int64_t width = 0, height = 0;  // of the whole image at the same reduction
};
// The pixels that decode_image() gives, but only those of a part: of most JPEGs of a single scan
// the rest is not decoded, and damage in it not found. Of all other images the whole is returned:
// ImagePart::part says what is.
ImagePart decode_image_part(const std::string& bytes, const std::string& name,
                            std::int64_t channels, const Decoding&);
std::string image_bytes(const std::filesystem::path&);  // what decode_image takes; 1 GiB at most
bool can_reduce(const std::string& bytes);  // a JPEG, and this build decodes it by libjpeg

// What a network takes of an image.
struct InputValues {
  std::int64_t channels = 3;  // 0: as many as the file has
  float max = 0;              // the value that becomes 1 ([net] input_max); 0: the type's largest
};
// The same as read_image(), but 16-bit PNGs and TIFFs keep their range, and TIFFs and .npy files
// may have any number of channels (docs/data.md). Throws where the file has neither as many as are
// wanted, nor 1 or 3 where the other of both is.
Image read_input(const std::filesystem::path&, const InputValues&);
Image decode_input(const std::string& bytes, const std::string& name, const InputValues&);
ImagePart decode_input_part(const std::string& bytes, const std::string& name, const InputValues&,
                            const Decoding&);

// In 8 bits, to be looked at: the first three channels, or the first of less. What has more bits is
// scaled from the smallest of their values to the largest; 8-bit images of 1 or 3 channels stay.
Image displayed(Image);
// The largest value of all channels.
float largest_in(const Image&);

// One channel of an RGB image's three.
Image grey_of(const Image& rgb);

// Whether write_image() has a format for the extension of this name.
bool names_written_format(const std::filesystem::path&);
// JPEG, PNG or BMP by the name's extension, replaced atomically.
void write_image(const std::filesystem::path&, const Image&);
// The same of an image with what was found in it, which takes the place of its like alone, not of
// other images (kAnnotatedFormat, core/file_format.h).
void write_annotated_image(const std::filesystem::path&, const Image&);

// What decodes and encodes all but JPEGs and PNGs: "OpenCV 4.6.0" or "stb".
std::string image_library();
// Throws where it is not installed, which the first image would find too.
void require_image_library();

// Shows the image in a window and waits for a key; false where that is impossible (no OpenCV, no
// display).
bool show_image(const std::string& title, const Image&);

}  // namespace darknet
