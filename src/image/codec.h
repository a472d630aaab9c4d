// The libraries behind read_image and write_image: libjpeg (jpeg.cpp), libpng (png.cpp) and libtiff
// (tiff.cpp) where the build has them; for all other images one of OpenCV (opencv.cpp) and stb
// (stb.cpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "image/image.h"

namespace darknet {

inline constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;  // of an image

bool is_too_large(std::int64_t width, std::int64_t height);
std::string too_large(std::int64_t width, std::int64_t height);  // the sentence about it

inline constexpr int kJpegQuality = 95;

// RGB as stored (orientation not applied); width 0 where it cannot be decoded. Of bytes that
// decode_image() has checked; the second is for GIF, whose first frame it gives.
Image decode_rgb(const std::string& bytes);
Image decode_with_stb(const std::string& bytes);
// Who decodes a JPEG's Huffman codes, which changes no pixel: own: image/jpeg_huffman.h, which
// leaves damaged and progressive ones, and in some builds all, to libjpeg.
enum class HuffmanBy : std::uint8_t { own_or_libjpeg, own, libjpeg };
// The same of a JPEG, its sides divided by `reduction` (1, 2, 4 or 8) and rounded up. None where
// another decoder has to take it: colours that are not grey, YCbCr or RGB, a build without libjpeg.
std::optional<Image> decode_jpeg(const std::string& bytes, int reduction = 1,
                                 HuffmanBy = HuffmanBy::own_or_libjpeg);
// The same of a part, as decode_image_part(); all of it where libjpeg decodes the Huffman codes.
std::optional<ImagePart> decode_jpeg_part(const std::string& bytes, const Decoding&,
                                          HuffmanBy = HuffmanBy::own_or_libjpeg);
ImagePart whole_image(Image);
bool reduces_jpeg();  // whether this build has libjpeg
// Whether Huffman codes, and parts, are decoded here: the build can, and the libjpeg that is loaded
// proves to take it.
bool decodes_huffman_codes();
bool decodes_jpeg_parts();
std::optional<Image> decode_png(const std::string& bytes);  // none: a build without libpng
// Images whose values are kept, for decode_input() (image/input.cpp). `channels`: those wanted, 0:
// as many as there are. Width 0 where they cannot be decoded, throws what their headers say is
// wrong; none where another decoder has to take them: 8-bit colours, a build without the library.
// Of a TIFF's pages those of the first's kind are channels too, where neither 1 nor 3 are wanted.
std::optional<Image> decode_png_values(const std::string& bytes, const std::string& name,
                                       std::int64_t channels);
std::optional<Image> decode_tiff_values(const std::string& bytes, const std::string& name,
                                        std::int64_t channels);
// The same of a .npy file and of those two; throws what is wrong with the file, also a value that
// is not finite. None for all else, and where the size in its header is damaged or too large.
std::optional<Image> decode_values(const std::string& bytes, const std::string& name,
                                   std::int64_t channels);
// NumPy's format. Throws what is wrong with the file, also where its channels seem to come first
// and it has not as many as are wanted. Any floats are taken.
Image decode_npy(const std::string& bytes, const std::string& name, std::int64_t channels);
// Width 0 where the header is damaged or not of an image; `bytes` may be a file's beginning.
struct ImageSize;
ImageSize npy_size(std::string_view bytes);

// Why no image of such values is taken, with the limit: no pixels, too many of them or of channels,
// more than 1 GiB of values; "" where it is.
std::string why_size_refused(std::int64_t width, std::int64_t height, std::int64_t channels,
                             int depth);
// Where the image has 1 channel or 3 and the other is wanted, so many; 0: as many as it has. Throws
// where it has another number of them, which gives_channels() says before.
bool gives_channels(std::int64_t found, std::int64_t wanted);
Image with_channels(Image, std::int64_t wanted, const std::string& name);
// The reduction that decode_image() applies where `wanted` is asked for and `code` is the image's
// orientation: 1 to `wanted`.
int granted_reduction(const ImageSize&, int code, int wanted);
// Turned as the code of an orientation in EXIF or TIFF says, 1 to 8.
Image upright(Image stored, int code);
// Pixels that nobody needs any more, for the next image that the thread decodes: the system gives
// new memory page by page, which takes a fifth as long as decoding.
void recycle(std::vector<std::uint8_t> pixels) noexcept;
std::vector<std::uint8_t> recycled_pixels(std::size_t bytes);  // with any values
// `extension`: ".jpg", ".png", ".bmp"; "" where it cannot be encoded. Images of 1 or 3 channels.
std::string encode(const Image&, const std::string& extension);
// The same by one library. None in a build without it.
std::optional<std::string> encode_jpeg(const Image&);
std::optional<std::string> encode_png(const Image&);
std::string encode_by_opencv_or_stb(const Image&, const std::string& extension);

}  // namespace darknet
