// TIFFs by libtiff, which keeps 16 bits, floats and any number of channels: samples of a pixel or
// pages. In a build without libtiff OpenCV takes what it can (image/codec.h).
#include "image/codec.h"

#if defined(DARKNET_TIFF)
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "image/decoder_messages.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxBlockBytes = std::int64_t{1} << 28;  // of a strip or tile, 256 MiB

struct TiffBytes {
  const std::string& bytes;
  toff_t next = 0;
};

tmsize_t read_tiff(thandle_t handle, void* to, tmsize_t count) {
  auto& s = *static_cast<TiffBytes*>(handle);
  const toff_t size = s.bytes.size(), at = std::min(s.next, size);
  const auto n = std::min<toff_t>(static_cast<toff_t>(std::max<tmsize_t>(count, 0)), size - at);
  std::memcpy(to, s.bytes.data() + at, n);
  s.next = at + n;
  return static_cast<tmsize_t>(n);
}
tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek_tiff(thandle_t handle, toff_t to, int from) {
  auto& s = *static_cast<TiffBytes*>(handle);
  s.next = from == SEEK_SET ? to : from == SEEK_CUR ? s.next + to : s.bytes.size() + to;
  return s.next;
}
int close_nothing(thandle_t) { return 0; }
toff_t size_of_tiff(thandle_t handle) { return static_cast<TiffBytes*>(handle)->bytes.size(); }

void keep_error(const char*, const char* format, std::va_list arguments) {
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  keep_decoder_message("libtiff", text.data());
}

using Tiff = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

// Errors are kept. Warnings are not: of tags that libtiff does not know, as GPS and sensors write
// them. "m": without mapping, which needs no functions then.
#if TIFFLIB_VERSION >= 20221213  // 4.5.0: handlers of a file; OpenCV sets those of the process
int keep_error_of_file(TIFF*, void*, const char* module, const char* format,
                       std::va_list arguments) {
  keep_error(module, format, arguments);
  return 1;  // not to those of the process
}
int drop_warning(TIFF*, void*, const char*, const char*, std::va_list) { return 1; }

Tiff open_tiff(TiffBytes& from) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(
      TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_error_of_file, nullptr);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), drop_warning, nullptr);
  return {TIFFClientOpenExt("image", "rm", &from, read_tiff, write_nothing, seek_tiff,
                            close_nothing, size_of_tiff, nullptr, nullptr, options.get()),
          &TIFFClose};
}
#else
Tiff open_tiff(TiffBytes& from) {
  static std::once_flag once;
  std::call_once(once, [] {
    TIFFSetErrorHandler(keep_error);
    TIFFSetWarningHandler(nullptr);
  });
  return {TIFFClientOpen("image", "rm", &from, read_tiff, write_nothing, seek_tiff, close_nothing,
                         size_of_tiff, nullptr, nullptr),
          &TIFFClose};
}
#endif

struct TiffLayout {
  std::int64_t width = 0, height = 0, samples = 1;
  int bits = 1, format = SAMPLEFORMAT_UINT, colours = PHOTOMETRIC_MINISBLACK;
  int planes = PLANARCONFIG_CONTIG, orientation = 1, compression = COMPRESSION_NONE;
  bool alpha = false;  // the last sample
  bool operator==(const TiffLayout&) const = default;
  int depth() const { return bits / 8; }
};

int short_tag(TIFF* tiff, ttag_t tag, int otherwise) {
  std::uint16_t value = 0;
  return TIFFGetFieldDefaulted(tiff, tag, &value) ? value : otherwise;
}

TiffLayout layout_of(TIFF* tiff) {
  std::uint32_t width = 0, height = 0;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TiffLayout l{.width = width, .height = height};
  l.samples = short_tag(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  l.bits = short_tag(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  l.format = short_tag(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  l.planes = short_tag(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  l.orientation = short_tag(tiff, TIFFTAG_ORIENTATION, 1);
  l.compression = short_tag(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  std::uint16_t colours = PHOTOMETRIC_MINISBLACK, extra = 0;
  if (TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &colours)) l.colours = colours;
  const std::uint16_t* kinds = nullptr;
  if (TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds) && extra == 1 && kinds)
    l.alpha = kinds[0] == EXTRASAMPLE_ASSOCALPHA || kinds[0] == EXTRASAMPLE_UNASSALPHA;
  return l;
}

bool has_values(const TiffLayout& l) {
  return (l.format == SAMPLEFORMAT_UINT && (l.bits == 8 || l.bits == 16)) ||
         (l.format == SAMPLEFORMAT_IEEEFP && l.bits == 32);
}

bool is_colour_or_grey(const TiffLayout& l) {
  return l.colours == PHOTOMETRIC_MINISBLACK || l.colours == PHOTOMETRIC_MINISWHITE ||
         l.colours == PHOTOMETRIC_RGB;
}

// Without its alpha where that is not one of `wanted` channels.
std::int64_t channels_of(const TiffLayout& l, std::int64_t wanted) {
  return l.samples - (l.alpha && l.samples != wanted ? 1 : 0);
}

// Whether OpenCV reads it, and nothing but alpha is lost in 8 bits of grey or RGB.
bool known_to_opencv(const TiffLayout& l, std::int64_t wanted) {
#if defined(DARKNET_OPENCV)
  return l.format == SAMPLEFORMAT_UINT && l.bits <= 8 &&
         l.samples - (l.alpha ? 1 : 0) == (l.colours == PHOTOMETRIC_RGB ? 3 : 1) &&
         (wanted < 2 || wanted == 3);
#else
  static_cast<void>(l), static_cast<void>(wanted);
  return false;
#endif
}

// The strips or tiles of a page: their sizes, and the samples of a pixel and bytes of a row in one.
struct TiffBlocks {
  bool tiled;
  std::int64_t width, height, samples, row;
};

TiffBlocks blocks_of(TIFF* tiff, const TiffLayout& l, const std::string& name) {
  std::uint32_t width = static_cast<std::uint32_t>(l.width), height = 0;
  const bool tiled = TIFFIsTiled(tiff) != 0;
  if (tiled) {
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &height);
  } else {
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &height);
  }
  TiffBlocks b{.tiled = tiled, .width = width, .height = height, .samples = l.samples, .row = 0};
  if (!tiled) b.height = std::min(b.height, l.height);
  if (l.planes == PLANARCONFIG_SEPARATE) b.samples = 1;
  const std::int64_t pixel = b.samples * l.depth();
  const char* const kind = tiled ? "tiles" : "strips";
  if (b.width == 0 || b.height == 0) fail_at({name, 0}, "a TIFF in ", kind, " without pixels");
  if (b.width > kMaxBlockBytes / pixel / b.height)
    fail_at({name, 0}, "a TIFF in ", kind, " of ", b.width, " x ", b.height, " pixels of ",
            plural(pixel, "byte"), ", more than 256 MiB; write smaller ", kind);
  b.row = b.width * pixel;
  return b;
}

// Rows and columns that lie in one strip or tile.
struct TiffBlock {
  std::int64_t x, y, width, height;
};

// Where the channels of a page or plane come to lie; `samples` of a pixel of the block, of which
// the last may be an alpha that is not kept.
struct TiffChannels {
  std::int64_t first, kept, samples;
};

// Copies what of a block lies in the image.
void copy_block(const TiffBlock& b, const std::uint8_t* from, const TiffChannels& c, Image& to) {
  const std::int64_t depth = to.depth;
  for (std::int64_t y = 0; y < std::min(b.height, to.height - b.y); ++y)
    for (std::int64_t x = 0; x < std::min(b.width, to.width - b.x); ++x)
      std::copy_n(from + (y * b.width + x) * c.samples * depth, c.kept * depth,
                  to.at(b.x + x, b.y + y) + c.first * depth);
}

bool read_page(TIFF* tiff, const TiffLayout& l, const TiffBlocks& b, const TiffChannels& c,
               Image& to) {
  std::vector<std::uint8_t> block(to_size(b.row * b.height));
  if ((b.tiled ? TIFFTileSize(tiff) : TIFFScanlineSize(tiff) * b.height) !=
      static_cast<tmsize_t>(block.size()))
    return false;
  const bool separate = l.planes == PLANARCONFIG_SEPARATE;
  for (std::int64_t plane = 0; plane < (separate ? c.kept : 1); ++plane)
    for (std::int64_t y = 0; y < l.height; y += b.height)
      for (std::int64_t x = 0; x < l.width; x += b.width) {
        const auto at_x = static_cast<std::uint32_t>(x), at_y = static_cast<std::uint32_t>(y);
        const auto sample = static_cast<std::uint16_t>(plane);
        const std::int64_t rows = b.tiled ? b.height : std::min(b.height, l.height - y);
        const auto bytes = static_cast<tmsize_t>(b.row * rows);
        const std::uint32_t index = b.tiled ? TIFFComputeTile(tiff, at_x, at_y, 0, sample)
                                            : TIFFComputeStrip(tiff, at_y, sample);
        const tmsize_t done = b.tiled ? TIFFReadEncodedTile(tiff, index, block.data(), bytes)
                                      : TIFFReadEncodedStrip(tiff, index, block.data(), bytes);
        if (done != bytes) return false;
        copy_block({x, y, b.width, rows}, block.data(),
                   {c.first + plane, separate ? 1 : c.kept, b.samples}, to);
      }
  return true;
}

// Its pages that are like the first one and follow it, as far as they are wanted.
std::int64_t like_pages(TIFF* tiff, const TiffLayout& first, std::int64_t wanted) {
  std::int64_t pages = 1;
  while (pages < wanted && TIFFReadDirectory(tiff) && layout_of(tiff) == first) ++pages;
  return TIFFSetDirectory(tiff, 0) ? pages : 1;
}

void invert(Image& image) {
  for (std::uint8_t& byte : image.pixels) byte = static_cast<std::uint8_t>(~byte);
}

}  // namespace

std::optional<Image> decode_tiff_values(const std::string& bytes, const std::string& name,
                                        std::int64_t channels) {
  TiffBytes from{bytes};
  const Tiff tiff = open_tiff(from);
  if (!tiff) return Image{};
  const TiffLayout l = layout_of(tiff.get());
  if (!is_colour_or_grey(l) || known_to_opencv(l, channels)) return std::nullopt;
  if (!has_values(l))
    fail_at({name, 0}, "a TIFF of ", l.bits, "-bit ",
            l.format == SAMPLEFORMAT_IEEEFP ? "floats"
            : l.format == SAMPLEFORMAT_INT  ? "signed integers"
                                            : "values",
            "; unsigned integers of 8 and 16 bits and floats of 32 bits can be read");
  if (!TIFFIsCODECConfigured(static_cast<std::uint16_t>(l.compression)))
    fail_at({name, 0}, "a TIFF of the compression ", l.compression, ", which libtiff cannot undo");
  const std::int64_t of_page = channels_of(l, channels);
  if (of_page < 1) return Image{};  // nothing but alpha
  const bool by_page = channels != 0 && channels != 1 && channels != 3 && channels % of_page == 0;
  const std::int64_t pages = by_page ? like_pages(tiff.get(), l, channels / of_page) : 1;
  const std::int64_t all = of_page * pages;
  const std::string unfit = why_size_refused(l.width, l.height, all, l.depth());
  if (!unfit.empty()) fail_at({name, 0}, unfit);
  if (l.compression == COMPRESSION_NONE &&
      l.width * l.height * of_page * l.depth() > std::ssize(bytes))
    fail_at({name, 0}, "truncated image (its values are not all there)");
  if (!gives_channels(all, channels))
    with_channels(Image(1, 1, all), channels, name);   // throws before anything is decoded
  TiffBlocks blocks = blocks_of(tiff.get(), l, name);  // before memory is taken
  Image image(l.width, l.height, all, l.depth());
  for (std::int64_t page = 0; page < pages; ++page) {
    if (page > 0) {
      if (!TIFFReadDirectory(tiff.get())) return Image{};
      blocks = blocks_of(tiff.get(), l, name);
    }
    if (!read_page(tiff.get(), l, blocks, {page * of_page, of_page, l.samples}, image))
      return Image{};
  }
  if (l.colours == PHOTOMETRIC_MINISWHITE && l.format == SAMPLEFORMAT_UINT) invert(image);
  const bool turned = l.orientation >= 1 && l.orientation <= 8;
  return upright(std::move(image), turned ? l.orientation : 1);
}

}  // namespace darknet

#else

namespace darknet {

std::optional<Image> decode_tiff_values(const std::string&, const std::string&, std::int64_t) {
  return std::nullopt;
}

}  // namespace darknet
#endif
