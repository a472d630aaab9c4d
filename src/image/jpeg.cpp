// JPEGs by libjpeg, for most of a training set is JPEGs: without OpenCV's copies, and reduced while
// they are decoded. In a build without libjpeg the other codecs take them (image/codec.h).
#include "image/codec.h"

#if defined(DARKNET_JPEG)
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which needs it
#include <new>
#include <utility>

#include <jerror.h>
#include <jpeglib.h>

#include "image/decoder_messages.h"
#include "image/jpeg_huffman.h"

namespace darknet {
namespace {

constexpr std::int64_t kRowsAtOnce = 16;  // of the output; libjpeg takes what it has ready

enum class Outcome { decoded, damaged, other_colours, left_to_libjpeg };

// The state of libjpeg, which reports an error by a jump to `failed`.
struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  std::jmp_buf failed{};
  bool has_rows = false;  // all of them
#if defined(DARKNET_JPEG_HUFFMAN)
  jpeg::HuffmanDecoder huffman;
  bool left_to_libjpeg = false;  // what the former does not take
#endif

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&info); }
};

[[noreturn]] void jump_out(j_common_ptr info) {
  std::longjmp(static_cast<Decoder*>(info->client_data)->failed, 1);
}

void keep_message(j_common_ptr info) {
  std::array<char, JMSG_LENGTH_MAX> text{};
  info->err->format_message(info, text.data());
  keep_decoder_message("libjpeg", text.data());
}

void nothing(j_decompress_ptr) {}
// Behind the last byte there is nothing: libjpeg returns with what it has.
boolean no_more(j_decompress_ptr) { return FALSE; }
void skip(j_decompress_ptr info, long bytes) {
  if (bytes <= 0) return;
  const std::size_t skipped = std::min(static_cast<std::size_t>(bytes), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

void begin(Decoder& d, const std::string& bytes) {
  d.source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  d.source.bytes_in_buffer = bytes.size();
  d.source.init_source = nothing, d.source.term_source = nothing;
  d.source.fill_input_buffer = no_more, d.source.skip_input_data = skip;
  d.source.resync_to_restart = jpeg_resync_to_restart;
  jpeg_create_decompress(&d.info);
  d.info.client_data = &d;
  d.info.src = &d.source;
}

bool has_usual_colours(const jpeg_decompress_struct& info) {
  return info.num_components == 1
             ? info.jpeg_color_space == JCS_GRAYSCALE
             : info.jpeg_color_space == JCS_YCbCr || info.jpeg_color_space == JCS_RGB;
}

// All rows; where the data end before them, the last one again, as in OpenCV. False without any.
bool read_rows(jpeg_decompress_struct& info, Image& image) {
  while (info.output_scanline < info.output_height) {
    const std::int64_t y = info.output_scanline, left = image.height - y;
    std::array<JSAMPROW, kRowsAtOnce> rows{};
    const std::int64_t count = std::min(left, kRowsAtOnce);
    for (std::int64_t k = 0; k < count; ++k) rows[to_size(k)] = image.at(0, y + k);
    if (jpeg_read_scanlines(&info, rows.data(), static_cast<JDIMENSION>(count)) > 0) continue;
    if (y == 0) return false;
    for (std::int64_t k = 0; k < left; ++k)
      std::copy_n(image.at(0, y - 1), 3 * image.width, image.at(0, y + k));
    return true;
  }
  return true;
}

#if defined(DARKNET_JPEG_HUFFMAN)
boolean decode_mcu(j_decompress_ptr info, JBLOCKROW* blocks) {
  auto& d = *static_cast<Decoder*>(info->client_data);
  if (d.huffman.decode(*info, blocks)) return TRUE;
  d.left_to_libjpeg = true;
  std::longjmp(d.failed, 1);
}
#endif

// Once libjpeg has begun the scan; whether that is possible.
bool take_over_huffman([[maybe_unused]] Decoder& d) {
#if defined(DARKNET_JPEG_HUFFMAN)
  if (!d.huffman.begin(d.info)) return false;
  d.info.entropy->decode_mcu = decode_mcu;
  return true;
#else
  return false;
#endif
}

// Nothing with a destructor lives here: an error of libjpeg jumps over it.
Outcome decode(Decoder& d, const std::string& bytes, const JpegDecoding& how, Image& image) {
  d.info.err = jpeg_std_error(&d.errors);
  d.errors.error_exit = jump_out, d.errors.output_message = keep_message;
  d.info.client_data = &d;
  if (setjmp(d.failed) != 0) {
    if (d.has_rows) return Outcome::decoded;
#if defined(DARKNET_JPEG_HUFFMAN)
    if (d.left_to_libjpeg) return Outcome::left_to_libjpeg;
#endif
    if (d.errors.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    return Outcome::damaged;
  }
  begin(d, bytes);
  if (jpeg_read_header(&d.info, TRUE) != JPEG_HEADER_OK) return Outcome::damaged;
  if (!has_usual_colours(d.info)) return Outcome::other_colours;
  d.info.out_color_space = JCS_RGB;
  d.info.scale_num = 1, d.info.scale_denom = static_cast<unsigned>(how.reduction);
  jpeg_calc_output_dimensions(&d.info);
  if (std::int64_t{d.info.output_width} * d.info.output_height > kMaxPixels)
    return Outcome::damaged;
  if (!jpeg_start_decompress(&d.info)) return Outcome::damaged;
  if (how.huffman != HuffmanBy::libjpeg && !take_over_huffman(d) && how.huffman == HuffmanBy::own)
    return Outcome::left_to_libjpeg;
  image.width = d.info.output_width, image.height = d.info.output_height;
  image.pixels = recycled_pixels(to_size(3 * image.width * image.height));
  if (!read_rows(d.info, image)) return Outcome::damaged;
  d.has_rows = true;
  jpeg_finish_decompress(&d.info);  // may complain of what follows them; as in OpenCV, no matter
  return Outcome::decoded;
}

// The state of libjpeg's other half, with what it has written.
struct Encoder {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf failed{};
  jpeg_destination_mgr destination{};
  std::string out;  // longer than what is written

  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() { jpeg_destroy_compress(&info); }
};

[[noreturn]] void leave_encoder(j_common_ptr info) {
  std::longjmp(static_cast<Encoder*>(info->client_data)->failed, 1);
}

// libjpeg calls this with a full buffer, and at the beginning. No exception may pass through it,
// and no jump may leave a handler.
void enlarge_output(Encoder& e) {
  const std::size_t used = e.out.size(), larger = std::max<std::size_t>(2 * used, 1 << 16);
  try {
    e.out.resize(larger);
  } catch (const std::bad_alloc&) {
  }
  if (e.out.size() != larger) ERREXIT1(&e.info, JERR_OUT_OF_MEMORY, 0);
  e.destination.next_output_byte = reinterpret_cast<JOCTET*>(e.out.data()) + used;
  e.destination.free_in_buffer = larger - used;
}

void begin_output(j_compress_ptr info) {
  enlarge_output(*static_cast<Encoder*>(info->client_data));
}
boolean continue_output(j_compress_ptr info) {
  begin_output(info);
  return TRUE;
}
void end_output(j_compress_ptr) {}

// As above: nothing with a destructor.
bool encode(Encoder& e, const Image& image) {
  e.info.err = jpeg_std_error(&e.errors);
  e.errors.error_exit = leave_encoder, e.errors.output_message = keep_message;
  e.info.client_data = &e;
  if (setjmp(e.failed) != 0) {
    if (e.errors.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    return false;
  }
  jpeg_create_compress(&e.info);
  e.info.client_data = &e;
  e.destination.init_destination = begin_output;
  e.destination.empty_output_buffer = continue_output;
  e.destination.term_destination = end_output;
  e.info.dest = &e.destination;
  e.info.image_width = static_cast<JDIMENSION>(image.width);
  e.info.image_height = static_cast<JDIMENSION>(image.height);
  e.info.input_components = static_cast<int>(image.channels);
  e.info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&e.info);
  jpeg_set_quality(&e.info, kJpegQuality, TRUE);
  jpeg_start_compress(&e.info, TRUE);
  while (e.info.next_scanline < e.info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.at(0, e.info.next_scanline));  // only read
    jpeg_write_scanlines(&e.info, &row, 1);
  }
  jpeg_finish_compress(&e.info);
  return true;
}

#if defined(DARKNET_JPEG_HUFFMAN)
// `decode_mcu` is private to libjpeg, and the one that is loaded may be another than that of the
// headers: once in a process a picture is decoded both ways.
bool takes_own_huffman() {
  Image picture(40, 24, 3);  // of several MCUs, some of them beyond its edges
  for (std::int64_t y = 0; y < picture.height; ++y)
    for (std::int64_t x = 0; x < picture.width; ++x)
      for (std::int64_t c = 0; c < 3; ++c)
        picture.at(x, y)[c] = static_cast<std::uint8_t>((c + 3) * x + (7 - c) * y + x * y % 29);
  const std::optional<std::string> bytes = encode_jpeg(picture);
  if (!bytes || bytes->empty()) return false;
  const std::optional<Image> own = decode_jpeg(*bytes, {.huffman = HuffmanBy::own}),
                             other = decode_jpeg(*bytes, {.huffman = HuffmanBy::libjpeg});
  return own && other && own->width == picture.width && own->pixels == other->pixels;
}
#endif

}  // namespace

bool reduces_jpeg() { return true; }

bool decodes_huffman_codes() {
#if defined(DARKNET_JPEG_HUFFMAN)
  return true;
#else
  return false;
#endif
}

std::optional<Image> decode_jpeg(const std::string& bytes, JpegDecoding how) {
  if (!bytes.starts_with("\xFF\xD8\xFF")) return std::nullopt;  // OpenCV takes no other
#if defined(DARKNET_JPEG_HUFFMAN)
  if (how.huffman == HuffmanBy::own_or_libjpeg) {
    static const bool own = takes_own_huffman();
    if (!own) how.huffman = HuffmanBy::libjpeg;
  }
#endif
  Decoder decoder;
  Image image;
  switch (decode(decoder, bytes, how, image)) {
    case Outcome::decoded:
      return image;
    case Outcome::damaged:
      return Image{};
    case Outcome::other_colours:
      return std::nullopt;
    case Outcome::left_to_libjpeg:
      break;
  }
  recycle(std::move(image.pixels));
  if (how.huffman == HuffmanBy::own) return Image{};
  how.huffman = HuffmanBy::libjpeg;
  return decode_jpeg(bytes, how);
}

std::optional<std::string> encode_jpeg(const Image& image) {
  Encoder encoder;
  if (!encode(encoder, image)) return std::string();
  encoder.out.resize(encoder.out.size() - encoder.destination.free_in_buffer);
  return std::move(encoder.out);
}

}  // namespace darknet

#else

namespace darknet {

bool reduces_jpeg() { return false; }
bool decodes_huffman_codes() { return false; }
std::optional<Image> decode_jpeg(const std::string&, JpegDecoding) { return std::nullopt; }
std::optional<std::string> encode_jpeg(const Image&) { return std::nullopt; }

}  // namespace darknet
#endif
