// What a file holds, recognised by how it begins: enough to notice that an output would take the
// place of something else. Not a check that the file is sound.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace darknet {

struct FileFormat {
  std::string kind;                 // "an image", "a label file", ...; "": empty, or blanks alone
  std::vector<std::string> fields;  // columns of CSV, keys of JSON, in their order
};

inline const FileFormat kImageFormat{"an image", {}},
    kAnnotatedFormat{"an image with detections", {}}, kVideoFormat{"a video", {}},
    kSvgFormat{"an SVG image", {}}, kHtmlFormat{"an HTML page", {}},
    kWeightsFormat{"a weights file", {}}, kStateFormat{"the state of a training run", {}},
    kOnnxFormat{"an ONNX model of this program", {}}, kCfgFormat{"a .cfg file", {}},
    kDataFormat{"a .data file", {}}, kLabelFormat{"a label file", {}},
    kImageListFormat{"a list of images", {}}, kVocFormat{"a file of VOC detections", {}},
    kCsvFormat{"a CSV file", {}}, kTextFormat{"a text file", {}},
    kOtherFormat{"a file of another program", {}};
FileFormat json_format(std::vector<std::string> keys);  // one of them comes first in such a file

// Whether the name of a file ends as those of images do, in lower or upper case.
bool is_image_name(std::string_view path);

// Of the first bytes of a file; kFormatBytes of them are enough.
inline constexpr std::size_t kFormatBytes = 64u << 10;  // a cfg may begin with long comments
FileFormat format_of(std::string_view head);
FileFormat format_of_file(const std::filesystem::path&);  // {} where it cannot be read

// The end of an error message of a reader that expected another format: "; it is a weights file in
// the place of a .cfg file (--help shows the order of the files)". "" where the file's format is
// not known.
std::string in_place_of(const std::filesystem::path&, const FileFormat& expected);

// The bytes of a JPEG, PNG or BMP with a mark by which they are kAnnotatedFormat: one that this
// program drew, and may replace. Decoders pass over it.
std::string marked_as_annotated(std::string image);

// Throws, naming both, where something else than `format` stands at `output`: another kind, or CSV
// with a column, or JSON that begins with a key, that `format` does not have. Where it has no
// fields, those of the file do not matter. Any image replaces an annotated one. Files that do not
// exist or hold nothing are replaced.
void require_format(const std::filesystem::path& output, const FileFormat& format);

}  // namespace darknet
