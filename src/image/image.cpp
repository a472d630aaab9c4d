#include "image/image.h"

#include <algorithm>
#include <new>

#include "core/error.h"
#include "core/file.h"
#include "core/file_format.h"
#include "core/out_of_memory.h"
#include "core/text.h"
#include "image/codec.h"
#include "image/decoder_messages.h"
#include "image/file_check.h"
#include "image/image_size.h"
#include "image/image_warnings.h"
#include "image/jpeg_segments.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxImageBytes = std::uint64_t{1} << 30;

constexpr std::size_t kMaxSpare = 4;  // of a thread: as many as a mosaic has
thread_local std::vector<std::vector<std::uint8_t>> spare;

// Where pixel (x, y) of the upright image is stored (Exif 2.3, tag Orientation).
struct Orientation {
  bool swap, mirror_x, mirror_y;  // of the stored axes
};

Orientation orientation(int code) {
  return {code >= 5, code == 2 || code == 3 || code == 7 || code == 8,
          code == 3 || code == 4 || code == 6 || code == 7};
}

// From a rectangle of the upright image to that of the stored one, whose sides are given.
Rect stored_rect(Rect r, std::int64_t width, std::int64_t height, int code) {
  const Orientation o = orientation(code);
  if (o.swap) r = {r.y0, r.x0, r.y1, r.x1};
  if (o.mirror_x) r = {width - r.x1, r.y0, width - r.x0, r.y1};
  if (o.mirror_y) r = {r.x0, height - r.y1, r.x1, height - r.y0};
  return r;
}

// The inverse.
Rect upright_rect(Rect r, std::int64_t width, std::int64_t height, int code) {
  const Orientation o = orientation(code);
  if (o.mirror_x) r = {width - r.x1, r.y0, width - r.x0, r.y1};
  if (o.mirror_y) r = {r.x0, height - r.y1, r.x1, height - r.y0};
  return o.swap ? Rect{r.y0, r.x0, r.y1, r.x1} : r;
}

ImagePart upright(ImagePart stored, int code) {
  if (code == 1) return stored;
  const bool swap = orientation(code).swap;
  return {upright(std::move(stored.image), code),
          upright_rect(stored.part, stored.width, stored.height, code),
          swap ? stored.height : stored.width, swap ? stored.width : stored.height};
}

ImagePart decode_stored(const std::string& bytes, const Decoding& how) {
  const FileKind kind = file_kind(bytes);
  if (kind == FileKind::gif) return whole_image(decode_with_stb(bytes));
  if (kind == FileKind::jpeg)
    if (auto part = decode_jpeg_part(bytes, how)) return std::move(*part);
  if (kind == FileKind::png)
    if (auto image = decode_png(bytes)) return whole_image(std::move(*image));
  return whole_image(decode_rgb(bytes));
}

// A JPEG of which only the end marker is missing: whatever bytes follow, it decodes alike. Width 0
// where data are missing too.
Image decode_without_end(const std::string& bytes, int reduction) {
  if (!jpeg::scans_are_all_there(bytes)) return {};
  const std::string data = bytes.ends_with('\xFF') ? bytes.substr(0, bytes.size() - 1) : bytes;
  const auto decoded = [&](char following) {
    constexpr std::size_t kFollowing = 64;
    return decode_stored(data + std::string(kFollowing, following) + "\xFF\xD9",
                         {.reduction = reduction})
        .image;
  };
  Image image = decoded('\0');
  return image.pixels == decoded('\xAA').pixels ? image : Image{};
}

[[noreturn]] void refuse_cut(const std::string& name) {
  fail_at({name, 0}, "truncated image (no end marker)");
}

// nullptr: not known, or not decoded here.
const char* name_of(FileKind kind) {
  switch (kind) {
    case FileKind::jpeg:
      return "JPEG";
    case FileKind::png:
      return "PNG";
    case FileKind::bmp:
      return "BMP";
    case FileKind::gif:
      return "GIF";
    case FileKind::webp:
      return "WebP";
    case FileKind::tiff:
      return "TIFF";
    case FileKind::jpeg2000:
      return "JPEG 2000";
    case FileKind::pnm:
      return "PNM";
    case FileKind::hdr:
      return "Radiance HDR";
    default:
      return nullptr;
  }
}

[[noreturn]] void refuse(std::string_view bytes, const std::string& name) {
  const char* const kind = name_of(file_kind(bytes));
  if (!kind)
    fail_at({name, 0}, "cannot decode image: this is no JPEG, PNG, BMP, GIF, WebP, TIFF, ",
            "JPEG 2000, PNM, Radiance HDR or NPY file");
  fail_at({name, 0}, "cannot decode image: this ", kind, " file is damaged, cut short or of a ",
          "variant that ", image_library(), " does not read");
}

// Bytes whose kind and size are known to be sound; `complete`: with an end marker.
struct Checked {
  const std::string& bytes;
  bool complete;
  Decoding how;  // of the stored image
};

// Width 0 where it cannot be decoded. `warning`: what is wrong with it all the same.
ImagePart decode_quietly(const Checked& c, std::string& warning) {
  const DecoderMessages messages;
  ImagePart part = c.complete ? decode_stored(c.bytes, c.how)
                              : whole_image(decode_without_end(c.bytes, c.how.reduction));
  warning = c.complete ? messages.text() : "the end marker is missing; all else is there";
  return part;
}

ImagePart decode_checked(const Checked& c, const std::string& name) {
  if (!c.complete && file_kind(c.bytes) != FileKind::jpeg) refuse_cut(name);
  std::string warning;
  ImagePart part = decode_quietly(c, warning);
  if (part.image.width == 0 && !c.complete) refuse_cut(name);
  if (part.image.width == 0) refuse(c.bytes, name);
  if (!warning.empty()) note_image_warning(name, warning);  // once nothing is kept any more
  return part;
}

std::string extension_of(const fs::path& path) {
  const std::string extension = lower_case(path.extension().string());
  return extension == ".jpeg" ? ".jpg" : extension;
}

}  // namespace

Image upright(Image stored, int code) {
  if (code == 1) return stored;
  const Orientation o = orientation(code);
  Image out(o.swap ? stored.height : stored.width, o.swap ? stored.width : stored.height,
            stored.channels, stored.depth);
  for (std::int64_t y = 0; y < out.height; ++y)
    for (std::int64_t x = 0; x < out.width; ++x) {
      std::int64_t sx = o.swap ? y : x, sy = o.swap ? x : y;
      if (o.mirror_x) sx = stored.width - 1 - sx;
      if (o.mirror_y) sy = stored.height - 1 - sy;
      std::copy_n(stored.at(sx, sy), stored.channels * stored.depth, out.at(x, y));
    }
  return out;
}

void recycle(std::vector<std::uint8_t> pixels) noexcept try {
  if (spare.size() < kMaxSpare) spare.push_back(std::move(pixels));
} catch (const std::bad_alloc&) {  // then it is given back
}

std::vector<std::uint8_t> recycled_pixels(std::size_t bytes) {
  std::vector<std::uint8_t> pixels;
  if (!spare.empty()) pixels = std::move(spare.back()), spare.pop_back();
  if (pixels.capacity() < bytes) pixels = {};  // nothing to be moved
  pixels.resize(bytes);
  return pixels;
}

// A mirror moves what a side that is no multiple has too much to the other end of the image.
int granted_reduction(const ImageSize& size, int code, int wanted) {
  while (code != 1 && (size.width % wanted != 0 || size.height % wanted != 0)) wanted /= 2;
  return wanted;
}

ImagePart whole_image(Image image) {
  const std::int64_t width = image.width, height = image.height;
  return {std::move(image), {0, 0, width, height}, width, height};
}

Image decode_image(const std::string& bytes, const std::string& name, std::int64_t channels,
                   int reduction) {
  return decode_image_part(bytes, name, channels, {.reduction = reduction}).image;
}

ImagePart decode_image_part(const std::string& bytes, const std::string& name,
                            std::int64_t channels, const Decoding& how) {
  if (bytes.empty()) fail_at({name, 0}, "empty file (0 bytes)");
  if (file_kind(bytes) != FileKind::png)  // of which the high bytes are shown
    if (auto values = decode_values(bytes, name, 0))
      return whole_image(with_channels(displayed(std::move(*values)), channels, name));
  if (const std::size_t start = jpeg::start_of(bytes); start > 2)  // OpenCV takes no fill bytes
    return decode_image_part(bytes.substr(start - 2), name, channels, how);
  const ImageSize size = image_size(bytes);
  const Soundness sound = soundness(bytes);
  if (size.width <= 0) {
    if (!sound.complete) refuse_cut(name);
    refuse(bytes, name);
  }
  const auto require_moderate = [&](std::int64_t width, std::int64_t height) {
    if (is_too_large(width, height)) fail_at({name, 0}, too_large(width, height));
  };
  require_moderate(size.width, size.height);
  if (const std::string why = jpeg::why_refused(sound); !why.empty()) fail_at({name, 0}, why);
  const int code = exif_orientation(bytes);
  const Decoding stored{
      granted_reduction(size, code, how.reduction),
      is_empty(how.part) ? Rect{} : stored_rect(how.part, size.width, size.height, code)};
  ImagePart part = decode_checked({bytes, sound.complete, stored}, name);
  require_moderate(part.width, part.height);  // a decoder may read the header otherwise
  part = upright(std::move(part), code);
  if (channels == 1) part.image = grey_of(part.image);
  return part;
}

Image read_image(const fs::path& path, std::int64_t channels) {
  return with_memory_for([&] { return cat("the image ", path.string()); },
                         [&] { return decode_image(image_bytes(path), path.string(), channels); });
}

bool is_too_large(std::int64_t width, std::int64_t height) {
  return width > kMaxPixels / std::max<std::int64_t>(height, 1);
}

std::string too_large(std::int64_t width, std::int64_t height) {
  return cat("this image has ", width, " x ", height, " pixels, more than ", kMaxPixels);
}

std::string image_bytes(const fs::path& path) { return read_file(path, kMaxImageBytes); }

bool can_reduce(const std::string& bytes) {
  return reduces_jpeg() && file_kind(bytes) == FileKind::jpeg;
}

std::string encode(const Image& image, const std::string& extension) {
  if (image.pixels.empty()) return {};
  if (image.depth != 1 || (image.channels != 1 && image.channels != 3))
    return encode(displayed(image), extension);
  std::optional<std::string> bytes;
  if (extension == ".jpg") bytes = encode_jpeg(image);
  if (extension == ".png") bytes = encode_png(image);
  return bytes ? std::move(*bytes) : encode_by_opencv_or_stb(image, extension);
}

bool names_written_format(const fs::path& path) {
  const std::string extension = extension_of(path);
  return extension == ".jpg" || extension == ".png" || extension == ".bmp";
}

namespace {

std::string encoded_for(const fs::path& path, const Image& image) {
  if (!names_written_format(path))
    fail_at({path.string(), 0}, "images are written as .jpg, .png or .bmp");
  std::string bytes = encode(image, extension_of(path));
  if (bytes.empty()) fail_at({path.string(), 0}, "cannot encode image");
  return bytes;
}

}  // namespace

void write_image(const fs::path& path, const Image& image) {
  write_file_atomically(path, encoded_for(path, image));
}

void write_annotated_image(const fs::path& path, const Image& image) {
  write_file_atomically(path, marked_as_annotated(encoded_for(path, image)));
}

}  // namespace darknet
