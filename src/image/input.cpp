// Images as networks take them: of more than 8 bits, and of any number of channels.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/index.h"
#include "core/out_of_memory.h"
#include "core/text.h"
#include "image/codec.h"
#include "image/decoder_messages.h"
#include "image/file_check.h"
#include "image/image.h"
#include "image/image_size.h"
#include "image/image_warnings.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxValueBytes = std::int64_t{1} << 30;  // of an image, 1 GiB

template <class T>
T value_of(const Image& image, std::size_t i) {
  T value{};
  std::memcpy(&value, image.pixels.data() + i * sizeof(T), sizeof(T));
  return value;
}

float value_at(const Image& image, std::size_t i) {
  if (image.depth == 1) return image.pixels[i];
  return image.depth == 2 ? value_of<std::uint16_t>(image, i) : value_of<float>(image, i);
}

template <class T>
void put_value(Image& image, std::size_t i, T value) {
  std::memcpy(image.pixels.data() + i * sizeof(T), &value, sizeof(T));
}

std::size_t values_in(const Image& image) { return image.pixels.size() / to_size(image.depth); }

Image copies_of_grey(const Image& grey) {
  Image out(grey.width, grey.height, 3, grey.depth);
  const auto depth = to_size(grey.depth);
  for (std::size_t i = 0; i < values_in(out); ++i)
    std::memcpy(&out.pixels[i * depth], &grey.pixels[i / 3 * depth], depth);
  return out;
}

// From the smallest value to the largest, or bytes as they are; 0 for what is not finite.
Image scaled_to_bytes(const Image& image) {
  if (image.depth == 1) return image;
  // In double: the range of floats, and 255 / range, need not be floats.
  double low = std::numeric_limits<double>::max(), high = -low;
  for (std::size_t i = 0; i < values_in(image); ++i) {
    const double value = double{value_at(image, i)};
    if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  }
  Image out(image.width, image.height, image.channels);
  const double scale = high > low ? 255 / (high - low) : 0;
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const double value = double{value_at(image, i)};
    if (std::isfinite(value))  // else 0
      out.pixels[i] = static_cast<std::uint8_t>(std::clamp((value - low) * scale + .5, 0., 255.));
  }
  return out;
}

void require_finite(const Image& image, const std::string& name) {
  for (std::size_t i = 0; i < values_in(image); ++i) {
    if (std::isfinite(value_at(image, i))) continue;
    const std::int64_t pixel = static_cast<std::int64_t>(i) / image.channels;
    fail_at({name, 0}, "the value at row ", pixel / image.width, ", column ", pixel % image.width,
            " is not a finite number; numpy.nan_to_num replaces such values");
  }
}

std::string header_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::string why_size_refused(std::int64_t width, std::int64_t height, std::int64_t channels,
                             int depth) {
  if (width < 1 || height < 1 || channels < 1)
    return cat("an image without pixels: ", width, " x ", height, " of ",
               plural(channels, "channel"));
  if (is_too_large(width, height)) return too_large(width, height);
  if (channels > kMaxChannels)
    return cat("this image has ", channels, " channels, more than ", kMaxChannels);
  if (width > kMaxValueBytes / (height * channels * depth))
    return cat("this image has ", width, " x ", height, " pixels of ", plural(channels, "channel"),
               ", ", 8 * depth, " bits each: more than 1 GiB of values");
  return "";
}

Image grey_of(const Image& rgb) {
  Image out(rgb.width, rgb.height, 1, rgb.depth);
  if (rgb.depth == 1) {
    for (std::size_t i = 0; i < out.pixels.size(); ++i) {
      const std::uint8_t* p = &rgb.pixels[3 * i];
      out.pixels[i] = static_cast<std::uint8_t>((77 * p[0] + 150 * p[1] + 29 * p[2] + 128) >> 8);
    }  // weights of ITU-R BT.601
    return out;
  }
  for (std::size_t i = 0; i < values_in(out); ++i) {
    const double grey = (77. * value_at(rgb, 3 * i) + 150. * value_at(rgb, 3 * i + 1) +
                         29. * value_at(rgb, 3 * i + 2)) /
                        256;
    if (rgb.depth == 2)
      put_value(out, i, static_cast<std::uint16_t>(std::lround(grey)));
    else
      put_value(out, i, static_cast<float>(grey));
  }
  return out;
}

Image displayed(Image image) {
  if (image.depth == 1 && (image.channels == 1 || image.channels == 3)) return image;
  const std::int64_t shown = image.channels >= 3 ? 3 : 1;
  Image part(image.width, image.height, shown, image.depth);
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      std::copy_n(image.at(x, y), shown * image.depth, part.at(x, y));
  return scaled_to_bytes(part);
}

float largest_in(const Image& image) {
  if (image.depth == 1) return *std::max_element(image.pixels.begin(), image.pixels.end());
  float largest = value_at(image, 0);
  for (std::size_t i = 0; i < values_in(image); ++i)
    largest = std::max(largest, value_at(image, i));
  return largest;
}

bool gives_channels(std::int64_t found, std::int64_t wanted) {
  return wanted == 0 || found == wanted || (wanted == 1 && found == 3) ||
         (wanted == 3 && found == 1);
}

Image with_channels(Image image, std::int64_t wanted, const std::string& name) {
  const std::int64_t found = image.channels;
  if (wanted == 0 || found == wanted) return image;
  if (wanted == 1 && found == 3) return grey_of(image);
  if (wanted == 3 && found == 1) return copies_of_grey(image);
  fail_at({name, 0}, "this image has ", plural(found, "channel"),
          ", the cfg says [net] channels=", wanted, "; set channels=", found,
          ", or write images of ", plural(wanted, "channel"), " (.npy, TIFF)");
}

std::optional<Image> decode_values(const std::string& bytes, const std::string& name,
                                   std::int64_t channels) {
  const FileKind kind = file_kind(bytes);
  if (kind == FileKind::npy) {
    Image image = decode_npy(bytes, name, channels);
    if (image.depth == 4) require_finite(image, name);
    return image;
  }
  if (kind != FileKind::png && kind != FileKind::tiff) return std::nullopt;
  const ImageSize size = image_size(bytes);
  if (size.width <= 0 || is_too_large(size.width, size.height) || !soundness(bytes).complete)
    return std::nullopt;
  std::optional<Image> image;
  std::string said;
  {
    const DecoderMessages messages;
    image = kind == FileKind::png ? decode_png_values(bytes, name, channels)
                                  : decode_tiff_values(bytes, name, channels);
    said = header_line(messages.text());
  }
  if (!image) return std::nullopt;
  if (image->width == 0)
    fail_at({name, 0}, "cannot decode image", said.empty() ? "" : " (", shown(said),
            said.empty() ? "" : ")");
  if (image->depth == 4) require_finite(*image, name);
  if (!said.empty()) note_image_warning(name, said);
  return kind == FileKind::png ? upright(std::move(*image), exif_orientation(bytes)) : image;
}

ImagePart decode_input_part(const std::string& bytes, const std::string& name,
                            const InputValues& wanted, const Decoding& how) {
  std::optional<Image> values = decode_values(bytes, name, wanted.channels);
  ImagePart part = values ? whole_image(std::move(*values))
                          : decode_image_part(bytes, name, wanted.channels == 1 ? 1 : 3, how);
  part.image = with_channels(std::move(part.image), wanted.channels, name);
  if (wanted.max > 0) part.image.value_of_one = wanted.max;
  return part;
}

Image decode_input(const std::string& bytes, const std::string& name, const InputValues& wanted) {
  return decode_input_part(bytes, name, wanted, {}).image;
}

Image read_input(const std::filesystem::path& path, const InputValues& wanted) {
  return with_memory_for([&] { return cat("the image ", path.string()); },
                         [&] { return decode_input(image_bytes(path), path.string(), wanted); });
}

}  // namespace darknet
