#include "core/file_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>

#include "core/error.h"
#include "core/index.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {
using namespace std::string_view_literals;
namespace fs = std::filesystem;
using Fields = std::vector<std::string_view>;

constexpr const char* kJson = "a JSON file";
constexpr std::size_t kLabelFields = 5, kVocFields = 6;

constexpr std::string_view kMark = "darknet boxes"sv, kMarkOfBmp = "dkbx"sv;
constexpr std::size_t kBmpReserved = 6, kMarkEnd = 256;  // where it is looked for

bool is_annotated(std::string_view image) {
  image = image.substr(0, kMarkEnd);
  if (!image.starts_with("BM")) return image.find(kMark) != image.npos;
  return image.size() > kBmpReserved && image.substr(kBmpReserved).starts_with(kMarkOfBmp);
}

const FileFormat& image_format(std::string_view image) {
  return is_annotated(image) ? kAnnotatedFormat : kImageFormat;
}

struct Signature {
  std::size_t at;
  std::string_view bytes;
  const FileFormat& format;
};

const std::array<Signature, 17> kSignatures{{{0, "\xFF\xD8\xFF"sv, kImageFormat},
                                             {0, "\x89PNG"sv, kImageFormat},
                                             {0, "GIF8"sv, kImageFormat},
                                             {8, "WEBP"sv, kImageFormat},
                                             {0, "II*\0"sv, kImageFormat},
                                             {0, "MM\0*"sv, kImageFormat},
                                             {0, "\x93NUMPY"sv, kImageFormat},
                                             {4, "ftyp"sv, kVideoFormat},
                                             {8, "AVI "sv, kVideoFormat},
                                             {0, "\x1A\x45\xDF\xA3"sv, kVideoFormat},
                                             {0, "\0\0\1\xBA"sv, kVideoFormat},
                                             {0, "FLV\1"sv, kVideoFormat},
                                             {0, "OggS"sv, kVideoFormat},
                                             {0, "<svg"sv, kSvgFormat},
                                             {0, "<!DOCTYPE html"sv, kHtmlFormat},
                                             {0, "DNFSTAT"sv, kStateFormat},
                                             {0,
                                              "\x08\x07\x12\x0D"
                                              "darknet_focal"sv,
                                              kOnnxFormat}}};

// Three small numbers, of which the Darknet forks write 0.1.0, 0.2.0 and 0.2.5.
bool begins_like_weights(std::string_view bytes) {
  std::array<std::int32_t, 3> version{};
  if (bytes.size() < sizeof version) return false;
  std::memcpy(version.data(), bytes.data(), sizeof version);
  constexpr std::int32_t kMaxNumber = 100;
  return std::all_of(version.begin(), version.end(),
                     [](std::int32_t v) { return v >= 0 && v <= kMaxNumber; });
}

Fields split(std::string_view line, std::string_view separators) {
  Fields fields;
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(separators), line.size());
    if (end > 0) fields.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

// The numbers that a line ends with, from the field `first` on; none where one is no number.
std::optional<std::vector<float>> numbers(const Fields& fields, std::size_t first) {
  std::vector<float> values;
  for (std::size_t i = first; i < fields.size(); ++i)
    if (!read_number(fields[i], values.emplace_back())) return std::nullopt;
  return values;
}

// "class x y w h", and the probability behind it: fractions of the image, or nearly so.
bool is_label(const Fields& fields) {
  if (fields.size() != kLabelFields && fields.size() != kLabelFields + 1) return false;
  constexpr float kMax = 2;
  const auto values = numbers(fields, 0);
  return values && fields[0].find('.') == std::string_view::npos &&
         std::all_of(values->begin() + 1, values->end(),
                     [](float v) { return v >= -kMax && v <= kMax; });
}

// "STEM score left top right bottom"; a stem may hold blanks.
bool is_voc(const Fields& fields) {
  if (fields.size() < kVocFields) return false;
  const auto values = numbers(fields, fields.size() - kLabelFields);
  return values && (*values)[0] >= 0 && (*values)[0] <= 1;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
}

// Quoted strings that a colon follows.
std::vector<std::string> json_keys(std::string_view text) {
  std::vector<std::string> keys;
  for (auto open = text.find('"'); open != text.npos;) {
    auto close = open + 1;
    while (close < text.size() && text[close] != '"') close += text[close] == '\\' ? 2 : 1;
    if (close >= text.size()) break;
    const auto next = text.find_first_not_of(" \t\r\n", close + 1);
    if (next != text.npos && text[next] == ':')
      keys.emplace_back(text.substr(open + 1, close - open - 1));
    open = text.find('"', close + 1);
  }
  return keys;
}

// As in cfg and data files.
bool is_comment(std::string_view line) { return line.front() == '#' || line.front() == ';'; }

FileFormat format_of_line(std::string_view line) {
  if (is_comment(line)) return kTextFormat;
  const Fields fields = split(line, " \t");
  if (is_label(fields)) return kLabelFormat;
  if (is_voc(fields)) return kVocFormat;
  if (is_image_name(line)) return kImageListFormat;
  if (line.front() == '[' && line.back() == ']' && is_word(line.substr(1, line.size() - 2)))
    return kCfgFormat;
  if (const auto equals = line.find('=');
      equals != line.npos && is_word(trim(line.substr(0, equals))))
    return kDataFormat;
  const Fields columns = split(line, ",");
  // Numbers alone, as in a file of anchors, name no columns.
  if (columns.size() > 1 && std::all_of(columns.begin(), columns.end(), is_word) &&
      !numbers(columns, 0))
    return {kCsvFormat.kind, {columns.begin(), columns.end()}};
  return kTextFormat;
}

// The first line that holds something; a comment where there is nothing else.
std::string_view first_line(std::string_view text) {
  std::string_view comment;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (!is_comment(line)) return line;
    comment = line;
  }
  return comment;
}

FileFormat format_of_binary(std::string_view bytes) {
  if (bytes.starts_with("BM")) return image_format(bytes);
  return begins_like_weights(bytes) ? kWeightsFormat : kOtherFormat;
}

std::string head_of(const fs::path& path) {
  std::string bytes(kFormatBytes, '\0');
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return {};
  std::ifstream in(path, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(to_size(in.gcount()));
  return bytes;
}

// What of `here` is not in `format`; "" where nothing is missing.
std::string foreign_field(const FileFormat& here, const FileFormat& format) {
  const std::size_t asked = here.kind == kJson ? 1 : here.fields.size();
  for (std::size_t i = 0; i < std::min(asked, here.fields.size()); ++i)
    if (std::find(format.fields.begin(), format.fields.end(), here.fields[i]) ==
        format.fields.end())
      return here.fields[i];
  return "";
}

}  // namespace

bool is_image_name(std::string_view path) {
  const std::string extension = lower_case(fs::path(path).extension().string());
  constexpr std::array kExtensions{".jpg",  ".jpeg", ".png", ".bmp", ".gif", ".tif",
                                   ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".npy"};
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

FileFormat json_format(std::vector<std::string> keys) { return {kJson, std::move(keys)}; }

FileFormat format_of(std::string_view head) {
  std::string_view bytes = head.substr(0, kFormatBytes);
  for (const Signature& s : kSignatures)
    if (bytes.size() >= s.at && bytes.substr(s.at).starts_with(s.bytes))
      return s.format.kind == kImageFormat.kind ? image_format(bytes) : s.format;
  if (bytes.find('\0') != bytes.npos) return format_of_binary(bytes);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);  // the byte order mark of UTF-8
  const std::string_view line = first_line(bytes);
  if (line.empty()) return {};
  FileFormat format = format_of_line(line);
  const bool json = line.front() == '{' || (line.front() == '[' && format.kind != kCfgFormat.kind);
  if (!json || format.kind == kVocFormat.kind || format.kind == kImageListFormat.kind)
    return format;
  if (bytes.find_first_not_of("[]{} \t\r\n") == bytes.npos) return {};  // an empty list
  std::vector<std::string> keys = json_keys(bytes);
  return keys.empty() ? kTextFormat : json_format(std::move(keys));
}

FileFormat format_of_file(const fs::path& path) { return format_of(head_of(path)); }

std::string in_place_of(const fs::path& path, const FileFormat& expected) {
  const std::string here = format_of_file(path).kind;
  if (here.empty() || here == expected.kind) return "";
  for (const FileFormat& unknown : {kOtherFormat, kTextFormat})
    if (here == unknown.kind) return "";
  return cat("; it is ", here, " in the place of ", expected.kind,
             " (--help shows the order of the files)");
}

std::string marked_as_annotated(std::string image) {
  constexpr std::size_t kSegment = 4, kPngHeader = 33;  // up to the length of APP0; with IHDR
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(image[i]); };
  if (image.starts_with("\xFF\xD8\xFF")) {
    const bool jfif = image.size() > kSegment + 1 && byte(3) == 0xE0;
    const std::size_t at =
        jfif ? kSegment + std::size_t{256} * byte(kSegment) + byte(kSegment + 1) : 2;
    const std::string comment =
        std::string("\xFF\xFE\0", 3) + static_cast<char>(kMark.size() + 2) + std::string(kMark);
    image.insert(std::min(at, image.size()), comment);
  } else if (image.starts_with("\x89PNG") && image.size() >= kPngHeader) {
    image.insert(kPngHeader,
                 "\0\0\0\x16tEXtSoftware\0darknet boxes"
                 "\x5C\x85\x27\xEC"sv);
  } else if (image.starts_with("BM") && image.size() > kBmpReserved + kMarkOfBmp.size()) {
    image.replace(kBmpReserved, kMarkOfBmp.size(), kMarkOfBmp);
  }
  return image;
}

void require_format(const fs::path& output, const FileFormat& format) {
  const FileFormat here = format_of_file(output);
  if (here.kind.empty()) return;
  constexpr const char* kRemedy = "; give the output another name, or remove the file first";
  if (here.kind == kAnnotatedFormat.kind && format.kind == kImageFormat.kind) return;
  if (here.kind == kImageFormat.kind && format.kind == kAnnotatedFormat.kind)
    fail(output.string(),
         ": would replace an image that was not drawn by darknet, or by a version before its "
         "images had a mark; remove it or choose another -prefix");
  if (here.kind != format.kind)
    fail(output.string(), ": would replace ", here.kind, " with ", format.kind, kRemedy);
  if (format.fields.empty()) return;
  if (const std::string field = foreign_field(here, format); !field.empty())
    fail(output.string(), ": would replace ", here.kind,
         " that this command does not write: it has ",
         here.kind == kJson ? "the key '" : "a column '", shown(field), '\'', kRemedy);
}

}  // namespace darknet
