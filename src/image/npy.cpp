// NumPy's file format (numpy.lib.format), versions 1.0 and 2.0: of images, as arrays of uint8,
// uint16 or float32, H x W or H x W x C in C order.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "image/bytes.h"
#include "image/codec.h"
#include "image/image_size.h"

namespace darknet {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kMaxHeader = 64 << 10;

struct NpyHeader {
  std::size_t data = 0;  // where the values begin
  std::int64_t height = 0, width = 0, channels = 1;
  int depth = 0;
  bool big_endian = false;
  std::string wrong;  // what is wrong with it, and the remedy
};

// What follows a key of the header's dictionary; "" without it.
std::string_view value_of_key(std::string_view dictionary, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    const auto at = dictionary.find(quoted);
    if (at == dictionary.npos) continue;
    const auto colon = dictionary.find_first_not_of(kBlanks, at + quoted.size());
    if (colon == dictionary.npos || dictionary[colon] != ':') return "";
    const auto begin = dictionary.find_first_not_of(kBlanks, colon + 1);
    return begin == dictionary.npos ? std::string_view() : dictionary.substr(begin);
  }
  return "";
}

// "(480, 640, 5)" as numbers; empty where it is something else.
std::vector<std::int64_t> shape_of(std::string_view text) {
  std::vector<std::int64_t> sizes;
  if (!text.starts_with('(')) return {};
  text.remove_prefix(1);
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,"), text.size()));
    if (text.starts_with(')')) return sizes;
    std::int64_t size = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), size);
    if (read.ec != std::errc{} || size < 0) return {};
    sizes.push_back(size);
    text.remove_prefix(to_size(read.ptr - text.data()));
  }
}

std::string set_type(NpyHeader& h, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, int>, 3> kTypes{
      {{"u1", 1}, {"u2", 2}, {"f4", 4}}};
  const bool quoted =
      value.size() > 4 && (value[0] == '\'' || value[0] == '"') && value[4] == value[0];
  for (const auto& [name, depth] : kTypes)
    if (quoted && value.substr(2, 2) == name &&
        std::string_view("<>|").find(value[1]) != value.npos)
      h.depth = depth, h.big_endian = value[1] == '>';
  if (h.depth > 0) return "";
  return cat("its values are ", shown(std::string(value.substr(0, value.find_first_of(",}")))),
             "; uint8, uint16 and float32 can be read: numpy.save(name, a.astype('float32'))");
}

// Whether a shape that is no image of `wanted` channels would be one with its sizes in another
// order.
bool seems_channels_first(const NpyHeader& h, std::int64_t wanted) {
  constexpr std::int64_t kMany = 64;  // more than most sensors have
  if (h.channels <= kMaxChannels && gives_channels(h.channels, wanted)) return false;
  return h.height == wanted || (h.height <= kMany && h.channels > kMany);
}

std::string set_shape(NpyHeader& h, std::string_view value, std::int64_t wanted) {
  const std::vector<std::int64_t> sizes = shape_of(value);
  if (sizes.size() != 2 && sizes.size() != 3)
    return cat("its shape is ", shown(std::string(value.substr(0, value.find(')') + 1))),
               "; an image is (height, width) or (height, width, channels)");
  h.height = sizes[0], h.width = sizes[1];
  if (sizes.size() == 3) h.channels = sizes[2];
  std::string wrong = why_size_refused(h.width, h.height, h.channels, h.depth);
  if (sizes.size() == 2 || !seems_channels_first(h, wanted)) return wrong;
  if (wrong.empty())
    wrong = cat("its shape is (", h.height, ", ", h.width, ", ", h.channels, "), an image of ",
                plural(h.channels, "channel"), ", not of ", wanted);
  return wrong + "; where its channels come first, numpy.transpose(a, (1, 2, 0)) puts them last";
}

// Of an image of `wanted` channels; 0: of any.
NpyHeader npy_header(std::string_view file, std::int64_t wanted) {
  NpyHeader h;
  const auto is = [&](std::string wrong) {
    h.wrong = std::move(wrong);
    return h;
  };
  const auto version = big_endian(file, 6, 2);  // major and minor number
  if (version != 0x0100 && version != 0x0200)
    return is("a .npy file of a version that is not known; 1.0 and 2.0 can be read");
  const std::size_t bytes = version == 0x0100 ? 2 : 4;
  const auto length = to_size(little_endian(file, 8, bytes));
  h.data = 8 + bytes + length;
  if (length > kMaxHeader || h.data > file.size()) return is("a .npy file that ends in its header");
  const std::string_view dictionary = file.substr(8 + bytes, length);
  if (!value_of_key(dictionary, "fortran_order").starts_with("False"))
    return is(
        "its values are not in C order: numpy.save(name, numpy.ascontiguousarray(a)) writes them "
        "so");
  std::string wrong = set_type(h, value_of_key(dictionary, "descr"));
  if (wrong.empty()) wrong = set_shape(h, value_of_key(dictionary, "shape"), wanted);
  return is(std::move(wrong));
}

// To this machine's order.
void swap_bytes(Image& image) {
  const auto depth = to_size(image.depth);
  for (std::size_t i = 0; i + depth <= image.pixels.size(); i += depth)
    std::reverse(&image.pixels[i], &image.pixels[i] + depth);
}

}  // namespace

ImageSize npy_size(std::string_view bytes) {
  const NpyHeader h = npy_header(bytes, 0);
  return h.wrong.empty() ? ImageSize{h.width, h.height} : ImageSize{};
}

Image decode_npy(const std::string& bytes, const std::string& name, std::int64_t channels) {
  const NpyHeader h = npy_header(bytes, channels);
  if (!h.wrong.empty()) fail_at({name, 0}, h.wrong);
  const auto wanted = to_size(h.width * h.height * h.channels * h.depth);
  if (bytes.size() - h.data != wanted)
    fail_at({name, 0}, "its header announces ", wanted, " bytes of values, there are ",
            bytes.size() - h.data,
            bytes.size() - h.data < wanted ? ": the file was cut short" : "");
  Image image(h.width, h.height, h.channels, h.depth);
  std::memcpy(image.pixels.data(), bytes.data() + h.data, wanted);
  if (h.big_endian == (std::endian::native == std::endian::little) && h.depth > 1)
    swap_bytes(image);
  return image;
}

}  // namespace darknet
