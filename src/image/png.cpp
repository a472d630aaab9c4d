// PNGs by libpng: charts and drawn scenes are PNGs, and OpenCV with its 200 libraries takes longer
// to load than a chart to draw. In a build without libpng the other codecs take them
// (image/codec.h).
#include "image/codec.h"

#if defined(DARKNET_PNG)
#include <algorithm>
#include <bit>
#include <csetjmp>
#include <new>
#include <utility>

#include <png.h>
#include <zlib.h>

#include "core/error.h"
#include "core/index.h"
#include "image/decoder_messages.h"

namespace darknet {
namespace {

struct Source {
  const std::string& bytes;
  std::size_t next = 0;
};

void read_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto& s = *static_cast<Source*>(png_get_io_ptr(png));
  if (count > s.bytes.size() - s.next) png_error(png, "Read Error");
  std::copy_n(s.bytes.data() + s.next, count, reinterpret_cast<char*>(to));
  s.next += count;
}

void keep_warning(png_structp, png_const_charp message) {
  keep_decoder_message("libpng warning", message);
}
[[noreturn]] void leave_libpng(png_structp png, png_const_charp message) {
  keep_decoder_message("libpng error", message);
  png_longjmp(png, 1);
}

struct Reader {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, leave_libpng, keep_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;

  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

// Text and profiles, which nobody reads here: libpng would inflate and keep gigabytes of them.
void ignore_all_but_pixels(png_structp png) {
  constexpr png_byte kIgnored[] = "tEXt\0zTXt\0iTXt\0sPLT\0eXIf";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kIgnored, sizeof kIgnored / 5);
}

// As stored: grey or colours, 8 or 16 bits; alpha where that gives `channels`.
void ask_for_values(png_structp png, png_infop info, std::int64_t channels) {
  const png_byte type = png_get_color_type(png, info);
  const bool colour = (type & PNG_COLOR_MASK_COLOR) != 0;
  if ((type & PNG_COLOR_MASK_ALPHA) == 0 || channels != (colour ? 4 : 2)) png_set_strip_alpha(png);
  png_set_palette_to_rgb(png);
  if (!colour) png_set_expand_gray_1_2_4_to_8(png);
  if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

// To 8 bits of red, green and blue, without alpha.
void ask_for_rgb(png_structp png, png_infop info) {
  png_set_strip_16(png);  // the high byte
  png_set_strip_alpha(png);
  png_set_palette_to_rgb(png);
  if ((png_get_color_type(png, info) & PNG_COLOR_MASK_COLOR) == 0) {
    png_set_expand_gray_1_2_4_to_8(png);
    png_set_gray_to_rgb(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

// Nothing with a destructor lives in the next four: an error of libpng jumps over it.
bool begin(Reader& r, Source& source) {
  if (setjmp(png_jmpbuf(r.png)) != 0) return false;
  png_set_read_fn(r.png, &source, read_bytes);
  ignore_all_but_pixels(r.png);
  png_read_info(r.png, r.info);
  return true;
}

bool choose_values(Reader& r, std::int64_t channels) {
  if (setjmp(png_jmpbuf(r.png)) != 0) return false;
  ask_for_values(r.png, r.info, channels);
  return true;
}

bool choose_rgb(Reader& r, std::int64_t& width, std::int64_t& height) {
  if (setjmp(png_jmpbuf(r.png)) != 0) return false;
  ask_for_rgb(r.png, r.info);
  width = png_get_image_width(r.png, r.info), height = png_get_image_height(r.png, r.info);
  return png_get_rowbytes(r.png, r.info) == to_size(3 * width);
}

bool read_pixels(Reader& r, png_bytepp rows) {
  if (setjmp(png_jmpbuf(r.png)) != 0) return false;
  png_read_image(r.png, rows);
  png_read_end(r.png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(const Image& image) {
  std::vector<png_bytep> rows(to_size(image.height));
  for (std::int64_t y = 0; y < image.height; ++y)
    rows[to_size(y)] = const_cast<png_bytep>(image.at(0, y));  // png_write_image only reads
  return rows;
}

struct Writer {
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, leave_libpng, keep_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  std::string out;
  bool out_of_memory = false;

  Writer() = default;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void append_bytes(png_structp png, png_bytep data, std::size_t count) {
  // No exception may pass through libpng, and no jump may leave a handler.
  auto& w = *static_cast<Writer*>(png_get_io_ptr(png));
  try {
    w.out.append(reinterpret_cast<char*>(data), count);
  } catch (const std::bad_alloc&) {
    w.out_of_memory = true;
  }
  if (w.out_of_memory) png_error(png, "out of memory");
}

void no_flush(png_structp) {}

bool write_pixels(Writer& w, const Image& image, png_bytepp rows) {
  if (setjmp(png_jmpbuf(w.png)) != 0) return false;
  png_set_write_fn(w.png, &w, append_bytes, no_flush);
  // Quick rather than small, as OpenCV does.
  png_set_compression_level(w.png, Z_BEST_SPEED);
  png_set_compression_strategy(w.png, Z_RLE);
  png_set_filter(w.png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
  png_set_IHDR(w.png, w.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w.png, w.info);
  png_write_image(w.png, rows);
  png_write_end(w.png, nullptr);
  return true;
}

}  // namespace

std::optional<Image> decode_png(const std::string& bytes) {
  Reader reader;
  if (!reader.info) throw std::bad_alloc();
  Source source{bytes};
  Image image;
  if (!begin(reader, source) || !choose_rgb(reader, image.width, image.height) ||
      image.width * image.height > kMaxPixels)
    return Image{};
  image.pixels = recycled_pixels(to_size(3 * image.width * image.height));
  std::vector<png_bytep> rows = rows_of(image);
  return read_pixels(reader, rows.data()) ? std::move(image) : Image{};
}

std::optional<Image> decode_png_values(const std::string& bytes, const std::string& name,
                                       std::int64_t channels) {
  Reader reader;
  if (!reader.info) throw std::bad_alloc();
  Source source{bytes};
  if (!begin(reader, source)) return Image{};
  const bool wide = png_get_bit_depth(reader.png, reader.info) == 16;
  if (!wide && channels != 2 && channels != 4) return std::nullopt;
  if (!choose_values(reader, channels)) return Image{};
  const std::int64_t width = png_get_image_width(reader.png, reader.info),
                     height = png_get_image_height(reader.png, reader.info),
                     found = png_get_channels(reader.png, reader.info);
  const int depth = wide ? 2 : 1;
  const std::string unfit = why_size_refused(width, height, found, depth);
  if (!unfit.empty()) fail_at({name, 0}, unfit);
  if (png_get_rowbytes(reader.png, reader.info) != to_size(width * found * depth)) return Image{};
  Image image(width, height, found, depth);
  std::vector<png_bytep> rows = rows_of(image);
  return read_pixels(reader, rows.data()) ? std::move(image) : Image{};
}

std::optional<std::string> encode_png(const Image& image) {
  if (image.channels != 1 && image.channels != 3) return std::nullopt;
  Writer writer;
  if (!writer.info) throw std::bad_alloc();
  std::vector<png_bytep> rows = rows_of(image);
  if (write_pixels(writer, image, rows.data())) return std::move(writer.out);
  if (writer.out_of_memory) throw std::bad_alloc();
  return std::string();
}

}  // namespace darknet

#else

namespace darknet {

std::optional<Image> decode_png(const std::string&) { return std::nullopt; }
std::optional<Image> decode_png_values(const std::string&, const std::string&, std::int64_t) {
  return std::nullopt;
}
std::optional<std::string> encode_png(const Image&) { return std::nullopt; }

}  // namespace darknet
#endif
