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
#include <vector>

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
  bool left_to_libjpeg = false;    // what the former does not take
  std::vector<std::uint8_t> rows;  // of a part, with some more columns
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

// Where the reduced image has a part of the image; all of it where that is empty.
Rect reduced(const Rect& part, int reduction, std::int64_t width, std::int64_t height) {
  if (is_empty(part)) return {0, 0, width, height};
  const auto axis = [&](std::int64_t& begin, std::int64_t& end, std::int64_t size) {
    begin = std::clamp<std::int64_t>(begin / reduction, 0, size - 1);
    end = std::clamp((end + reduction - 1) / reduction, begin + 1, size);
  };
  Rect r = part;
  axis(r.x0, r.x1, width), axis(r.y0, r.y1, height);
  return r;
}

#if defined(DARKNET_JPEG_HUFFMAN)
// The rest of the scan is left; of what lies above and at the sides the codes alone are decoded.
// False where libjpeg gives less.
bool read_part(Decoder& d, const Rect& part, Image& image) {
  d.left_to_libjpeg = true;  // whatever it complains of
  // Pixels decoded at either side of the part: fancy upsampling makes a pixel of its own sample of
  // chroma, two pixels wide, and of the next one, but only where a row has at least three.
  constexpr std::int64_t kNeighbours = 4;
  auto left = static_cast<JDIMENSION>(std::max<std::int64_t>(0, part.x0 - kNeighbours));
  JDIMENSION columns =
      std::min(static_cast<JDIMENSION>(part.x1 + kNeighbours), d.info.output_width) - left;
  jpeg_crop_scanline(&d.info, &left, &columns);  // moves `left` to where an MCU begins
  const auto above = static_cast<JDIMENSION>(part.y0);
  if (above > 0 && jpeg_skip_scanlines(&d.info, above) != above) return false;
  const std::size_t row = std::size_t{3} * columns, dropped = 3 * (to_size(part.x0) - left);
  d.rows.resize(to_size(kRowsAtOnce) * row);
  std::array<JSAMPROW, kRowsAtOnce> rows{};
  for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = &d.rows[k * row];
  for (std::int64_t y = 0; y < image.height;) {
    const auto wanted = static_cast<JDIMENSION>(std::min(image.height - y, kRowsAtOnce));
    const JDIMENSION got = jpeg_read_scanlines(&d.info, rows.data(), wanted);
    if (got == 0) return false;
    for (JDIMENSION k = 0; k < got; ++k, ++y)
      std::copy_n(rows[k] + dropped, 3 * image.width, image.at(0, y));
  }
  return true;
}

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

// The kinds whose parts the tests cover: grey, and YCbCr whose colours have one sample where
// brightness has up to 2 x 2. Of rarer sampling libjpeg-turbo takes a wrong width of chroma where
// it crops a reduced image.
bool has_usual_sampling(const jpeg_decompress_struct& info) {
  for (int k = 0; k < info.num_components; ++k) {
    const jpeg_component_info& c = info.comp_info[k];
    const int most = k == 0 && info.num_components == 3 ? 2 : 1;
    if (c.h_samp_factor > most || c.v_samp_factor > most) return false;
  }
  return info.num_components == 1 || info.jpeg_color_space == JCS_YCbCr;
}

// Nothing with a destructor lives here: an error of libjpeg jumps over it.
Outcome decode(Decoder& d, const std::string& bytes, const Decoding& how, HuffmanBy huffman,
               ImagePart& to) {
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
  const bool own = huffman != HuffmanBy::libjpeg && take_over_huffman(d);
  if (!own && huffman == HuffmanBy::own) return Outcome::left_to_libjpeg;
  to.width = d.info.output_width, to.height = d.info.output_height;
  const Rect wanted = own && has_usual_sampling(d.info) ? how.part : Rect{};
  to.part = reduced(wanted, how.reduction, to.width, to.height);
  Image& image = to.image;
  image.width = to.part.x1 - to.part.x0, image.height = to.part.y1 - to.part.y0;
  image.pixels = recycled_pixels(to_size(3 * image.width * image.height));
#if defined(DARKNET_JPEG_HUFFMAN)
  if (image.width < to.width || image.height < to.height)
    return read_part(d, to.part, image) ? Outcome::decoded : Outcome::left_to_libjpeg;
#endif
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

// Samples of brightness, across and down, for each of colour.
struct Sampling {
  int across, down;
};
constexpr Sampling kUsual{2, 2};

// As above: nothing with a destructor.
bool encode(Encoder& e, const Image& image, const Sampling& sampling) {
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
  if (image.channels == 3) {
    e.info.comp_info[0].h_samp_factor = sampling.across;
    e.info.comp_info[0].v_samp_factor = sampling.down;
  }
  jpeg_start_compress(&e.info, TRUE);
  while (e.info.next_scanline < e.info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.at(0, e.info.next_scanline));  // only read
    jpeg_write_scanlines(&e.info, &row, 1);
  }
  jpeg_finish_compress(&e.info);
  return true;
}

std::optional<std::string> encoded(const Image& image, const Sampling& sampling) {
  Encoder encoder;
  if (!encode(encoder, image, sampling)) return std::string();
  encoder.out.resize(encoder.out.size() - encoder.destination.free_in_buffer);
  return std::move(encoder.out);
}

// What this process leaves to libjpeg or not.
struct Own {
  bool codes = false, parts = false;
};

#if defined(DARKNET_JPEG_HUFFMAN)
// Of several MCUs, some of them beyond its edges.
Image picture_of_check(std::int64_t channels) {
  Image picture(72, 40, channels);
  for (std::int64_t y = 0; y < picture.height; ++y)
    for (std::int64_t x = 0; x < picture.width; ++x)
      for (std::int64_t c = 0; c < channels; ++c)
        picture.at(x, y)[c] = static_cast<std::uint8_t>((c + 3) * x + (7 - c) * y + x * y % 29);
  return picture;
}

bool is_part_of(const ImagePart& part, const Image& whole) {
  const Rect& r = part.part;
  for (std::int64_t y = 0; y < part.image.height; ++y)
    if (!std::equal(part.image.at(0, y), part.image.at(0, y) + 3 * part.image.width,
                    whole.at(r.x0, r.y0 + y)))
      return false;
  return true;
}

// Whether both decoders give the same of an image, and its parts are those of the whole.
Own check_own(const std::string& bytes, int reduction) {
  constexpr Rect kCorner{38, 20, 42, 36};  // beyond the first MCU of both directions
  const std::optional<Image> own = decode_jpeg(bytes, reduction, HuffmanBy::own),
                             other = decode_jpeg(bytes, reduction, HuffmanBy::libjpeg);
  Own good{.codes = own && other && own->width > 0 && own->pixels == other->pixels};
  if (!good.codes) return good;
  const auto part = decode_jpeg_part(bytes, {reduction, kCorner}, HuffmanBy::own);
  good.parts =
      part && part->image.width == (kCorner.x1 - kCorner.x0) / reduction && is_part_of(*part, *own);
  return good;
}

// `decode_mcu` is private to libjpeg, and the one that is loaded may be another than that of the
// headers: once in a process pictures are decoded both ways.
Own check_own() {
  struct Kind {
    std::int64_t channels;
    Sampling sampling;
  };
  Own good{true, true};
  for (const Kind& kind : {Kind{3, {2, 2}}, {3, {2, 1}}, {3, {1, 1}}, {1, {1, 1}}}) {
    const auto bytes = encoded(picture_of_check(kind.channels), kind.sampling);
    if (!bytes || bytes->empty()) return {};
    for (const int reduction : {1, 2}) {
      const Own one = check_own(*bytes, reduction);
      good.codes &= one.codes, good.parts &= one.parts;
    }
  }
  return good;
}
#endif

const Own& own() {
#if defined(DARKNET_JPEG_HUFFMAN)
  static const Own all = check_own();
#else
  static constexpr Own all;
#endif
  return all;
}

}  // namespace

bool reduces_jpeg() { return true; }

bool decodes_huffman_codes() { return own().codes; }
bool decodes_jpeg_parts() { return own().codes && own().parts; }

std::optional<Image> decode_jpeg(const std::string& bytes, int reduction, HuffmanBy huffman) {
  std::optional<ImagePart> part = decode_jpeg_part(bytes, {.reduction = reduction}, huffman);
  return part ? std::optional(std::move(part->image)) : std::nullopt;
}

std::optional<ImagePart> decode_jpeg_part(const std::string& bytes, const Decoding& wanted,
                                          HuffmanBy huffman) {
  if (!bytes.starts_with("\xFF\xD8\xFF")) return std::nullopt;  // OpenCV takes no other
  Decoding how = wanted;
  if (huffman == HuffmanBy::own_or_libjpeg) {
    if (!decodes_jpeg_parts()) how.part = {};
    if (!decodes_huffman_codes()) huffman = HuffmanBy::libjpeg;
  }
  Decoder decoder;
  ImagePart part;
  switch (decode(decoder, bytes, how, huffman, part)) {
    case Outcome::decoded:
      return part;
    case Outcome::damaged:
      return ImagePart{};
    case Outcome::other_colours:
      return std::nullopt;
    case Outcome::left_to_libjpeg:
      break;
  }
  recycle(std::move(part.image.pixels));
  if (huffman == HuffmanBy::own) return ImagePart{};
  return decode_jpeg_part(bytes, how, HuffmanBy::libjpeg);
}

std::optional<std::string> encode_jpeg(const Image& image) { return encoded(image, kUsual); }

}  // namespace darknet

#else

namespace darknet {

bool reduces_jpeg() { return false; }
bool decodes_huffman_codes() { return false; }
bool decodes_jpeg_parts() { return false; }
std::optional<Image> decode_jpeg(const std::string&, int, HuffmanBy) { return std::nullopt; }
std::optional<ImagePart> decode_jpeg_part(const std::string&, const Decoding&, HuffmanBy) {
  return std::nullopt;
}
std::optional<std::string> encode_jpeg(const Image&) { return std::nullopt; }

}  // namespace darknet
#endif
