// stb: GIF in every build, which OpenCV 4.6 has not; all decoding and encoding, and no windows, in
// one without OpenCV. Only image.cpp calls it, behind its checks.
#if defined(DARKNET_OPENCV)
#define STBI_ONLY_GIF
#else
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_HDR
#endif
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <algorithm>
#include <memory>
#include <new>
#include <string_view>

#include "core/index.h"
#include "image/codec.h"
#include "image/file_check.h"
#include "image/image_size.h"
#include "image/jpeg_segments.h"

#if !defined(DARKNET_OPENCV)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>
#endif

namespace darknet {
namespace {

const stbi_uc* data_of(const std::string& bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

}  // namespace

Image decode_with_stb(const std::string& bytes) {
  // stb decodes with tables that were never defined, from memory that was never written.
  if (file_kind(bytes) == FileKind::jpeg && !jpeg::scans_have_tables(bytes)) return {};
  int w = 0, h = 0, c = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> rgb(
      stbi_load_from_memory(data_of(bytes), static_cast<int>(bytes.size()), &w, &h, &c, 3),
      stbi_image_free);
  if (!rgb && std::string_view(stbi_failure_reason()) == "Out of memory") throw std::bad_alloc();
  if (!rgb) return {};
  Image image(w, h, 3);
  image.pixels.assign(rgb.get(), rgb.get() + image.pixels.size());
  return image;
}

#if !defined(DARKNET_OPENCV)
namespace {

void append(void* to, void* data, int size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data), to_size(size));
}

// Not by stb 2.27: it takes the low byte of 16-bit samples, reads beyond its buffer where they are
// grey, and returns memory that was never written where samples are missing.
Image decode_pnm(const std::string& file) {
  const ImageSize size = image_size(file);
  const PnmSamples samples = pnm_samples(file);
  if ((file[1] != '5' && file[1] != '6') || samples.bytes.empty()) return {};
  Image image(size.width, size.height, 3);
  const std::size_t copies = 3 / samples.channels;  // of each sample
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(samples.bytes[i / copies * samples.bytes_each]);
  return image;
}

}  // namespace

Image decode_rgb(const std::string& bytes) {
  return file_kind(bytes) == FileKind::pnm ? decode_pnm(bytes) : decode_with_stb(bytes);
}

std::string encode_by_opencv_or_stb(const Image& image, const std::string& extension) {
  const int w = static_cast<int>(image.width), h = static_cast<int>(image.height),
            c = static_cast<int>(image.channels);
  constexpr int kMaxJpeg = 65535;  // the library would write the sides modulo 65536
  if (image.pixels.empty() || (extension == ".jpg" && std::max(w, h) > kMaxJpeg)) return {};
  std::string out;
  if (extension == ".png")
    stbi_write_png_to_func(append, &out, w, h, c, image.pixels.data(), w * c);
  else if (extension == ".bmp")
    stbi_write_bmp_to_func(append, &out, w, h, c, image.pixels.data());
  else
    stbi_write_jpg_to_func(append, &out, w, h, c, image.pixels.data(), kJpegQuality);
  return out;
}

std::string image_library() { return "stb"; }

void require_image_library() {}  // it is compiled in

bool show_image(const std::string&, const Image&) { return false; }

#endif

}  // namespace darknet
