#include "dataset/detection_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/coco_ids.h"
#include "dataset/image_finder.h"
#include "dataset/voc_names.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxResultsBytes = std::uint64_t{1} << 32;  // of a results file
constexpr double kMaxScore = 1e9;  // beyond, several scores would be one infinity as floats

Box box_of(double x, double y, double w, double h, const ImageSize& size) {
  const auto width = static_cast<double>(size.width), height = static_cast<double>(size.height);
  return {static_cast<float>((x + w / 2) / width), static_cast<float>((y + h / 2) / height),
          static_cast<float>(w / width), static_cast<float>(h / height)};
}

// Receives COCO's entries one value at a time: a million of them are never in memory as JSON.
class CocoReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  CocoReader(const std::string& file, const ImageSet& set, FiledDetections& to)
      : file_(file), set_(set), to_(to), finder_(set.images) {
    const auto classes = std::ssize(set.names);
    for (std::int64_t i = 0; i < classes; ++i) classes_[category_id(i, classes)] = i;
  }

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("true or false"); }
  bool number_integer(number_integer_t n) override { return number(static_cast<double>(n), n); }
  bool number_unsigned(number_unsigned_t n) override {
    return number(static_cast<double>(n),
                  static_cast<std::int64_t>(std::min<std::uint64_t>(n, INT64_MAX)));
  }
  bool number_float(number_float_t n, const string_t&) override { return number(n, std::nullopt); }
  bool string(string_t& text) override {
    if (depth() != 2 || (key_ != "image_id" && key_ != "file_name")) return value("a text");
    image_ = finder_.by_name(text, {cat(file_, ": detection ", entry_), 0});
    if (!image_) refuse("image '", shown(text), "' is not in the list");
    return true;
  }
  bool binary(binary_t&) override { return true; }
  bool key(string_t& k) override {
    if (depth() == 2) key_ = k;
    return true;
  }
  bool start_object(std::size_t) override {
    if (depth() == 0) refuse("expected a list of detections: [{...}, ...]");
    if (depth() == 1) begin();
    return open('{');
  }
  bool end_object() override {
    close();
    if (depth() == 1) finish();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth() == 1) refuse("expected an object: {\"image_id\": ...}");
    return open('[');
  }
  bool end_array() override {
    close();
    return true;
  }
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& e) override {
    fail_at({file_, 0}, "no JSON, at byte ", at, ": ", shown(e.what()));
  }

 private:
  static constexpr std::size_t kMaxDepth = 64;

  std::size_t depth() const { return open_.size(); }
  bool open(char kind) {
    open_ += kind;
    if (depth() > kMaxDepth) refuse("nested too deeply");
    return true;
  }
  void close() { open_.pop_back(); }
  bool known_key() const {
    return key_ == "image_id" || key_ == "file_name" || key_ == "category_id" || key_ == "bbox" ||
           key_ == "score";
  }
  template <class... A>
  [[noreturn]] void refuse(const A&... a) const {
    fail_at({file_, 0}, "detection ", entry_, ": ", a...);
  }
  bool value(const char* what) const {
    if (depth() == 0) refuse("expected a list of detections");
    if (depth() == 1) refuse("expected an object, not ", what);
    if (depth() == 2 && known_key()) refuse(key_, " is ", what);
    if (depth() == 3 && key_ == "bbox") refuse("bbox holds ", what);
    return true;
  }

  void begin() {
    ++entry_;
    key_.clear(), box_.clear();
    image_.reset(), class_.reset(), score_.reset();
  }
  bool number(double n, std::optional<std::int64_t> integer) {
    if (depth() < 2) return value("a number");
    if (depth() == 3 && key_ == "bbox" && open_.back() == '[' && box_.size() < 5) box_.push_back(n);
    if (depth() != 2) return true;
    if (key_ == "score") score_ = n;
    if (key_ == "bbox" || key_ == "file_name") return value("a number");
    if (key_ == "image_id" || key_ == "category_id") id(integer);
    return true;
  }
  void id(std::optional<std::int64_t> n) {
    if (!n) refuse(key_, " is not an integer");
    if (key_ == "image_id") {
      image_ = finder_.by_id(*n);
      if (!image_) refuse("image_id ", *n, " is not an image of the list");
      return;
    }
    const auto at = classes_.find(*n);
    if (classes_.empty()) refuse("category_id ", *n, " is not a class: there are no classes");
    if (at == classes_.end())
      refuse("category_id ", *n, " is not a class: the ", classes_.size(), " classes have ",
             classes_.begin()->first, " to ", classes_.rbegin()->first,
             classes_.rbegin()->first == std::ssize(classes_)
                 ? ""
                 : ", as COCO numbers them, which leaves some numbers out");
    class_ = at->second;
  }
  void finish() {
    const bool four = box_.size() == 4 && std::all_of(box_.begin(), box_.end(), [](double v) {
                        return std::isfinite(v) && std::abs(v) < 1e9;
                      });
    if (!image_ || !class_ || !score_ || !four || !(std::abs(*score_) < kMaxScore))
      refuse("expected image_id, category_id, a bbox of four numbers and a score");
    if (box_[2] < 0 || box_[3] < 0) refuse("bbox: a width or height below 0");
    const Box box = box_of(box_[0], box_[1], box_[2], box_[3], set_.sizes[*image_]);
    to_.images[*image_].push_back(
        {box, static_cast<std::int32_t>(*class_), 0, static_cast<float>(*score_)});
    ++to_.detections;
  }

  const std::string& file_;
  const ImageSet& set_;
  FiledDetections& to_;
  ImageFinder finder_;
  std::map<std::int64_t, std::int64_t> classes_;
  std::string open_, key_;  // open_: the brackets around the place being read
  std::int64_t entry_ = 0;
  std::vector<double> box_;
  std::optional<std::size_t> image_;
  std::optional<std::int64_t> class_;
  std::optional<double> score_;
};

// The bytes of a JSON text, none of whose strings and numbers is endless: a parser would keep it
// all.
class JsonBytes {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  JsonBytes() = default;  // the end
  JsonBytes(std::streambuf& in, const std::string& file) : in_(&in), file_(&file) { look(); }
  char operator*() const { return static_cast<char>(byte_); }
  JsonBytes& operator++() {
    in_->sbumpc();
    look();
    return *this;
  }
  bool operator==(const JsonBytes& other) const { return at_end() == other.at_end(); }
  bool operator!=(const JsonBytes& other) const { return !(*this == other); }

 private:
  bool at_end() const { return byte_ == kEnd; }
  void look() {
    byte_ = in_->sgetc();
    const bool between = !in_string_ && byte_ != kEnd &&
                         std::string_view("[]{},: \t\r\n").find(**this) != std::string_view::npos;
    if (byte_ == '"' && !escaped_) in_string_ = !in_string_, length_ = 0;
    escaped_ = byte_ == '\\' && !escaped_;
    length_ = between ? 0 : length_ + 1;
    if (length_ > LineReader::kMaxLine)
      fail_at({*file_, 0}, "a text or number in it is longer than ", LineReader::kMaxLine,
              " bytes");
  }

  static constexpr int kEnd = std::char_traits<char>::eof();
  std::streambuf* in_ = nullptr;
  const std::string* file_ = nullptr;
  int byte_ = kEnd;
  bool in_string_ = false, escaped_ = false;
  std::size_t length_ = 0;
};

void read_coco(const fs::path& file, const ImageSet& set, FiledDetections& to) {
  InputFile in(file, kMaxResultsBytes, Pipes::once);
  const std::string name = file.string();
  CocoReader reader(name, set, to);
  nlohmann::json::sax_parse(JsonBytes(*in.rdbuf(), name), JsonBytes(), &reader);
}

constexpr std::size_t kVocNumbers = 5;

// A line from its end: names of images may hold blanks.
struct VocLine {
  std::string_view image;
  std::array<double, kVocNumbers> numbers{};  // score left top right bottom
};

std::optional<VocLine> parse_voc_line(std::string_view line) {
  VocLine parsed;
  for (std::size_t i = kVocNumbers; i-- > 0;) {
    line = trim(line);
    const auto blank = line.find_last_of(" \t");
    if (blank == line.npos) return std::nullopt;
    if (!read_number(line.substr(blank + 1), parsed.numbers[i]) ||
        !(std::abs(parsed.numbers[i]) < 1e9))
      return std::nullopt;
    line = line.substr(0, blank);
  }
  parsed.image = trim(line);
  return parsed.image.empty() ? std::nullopt : std::optional(parsed);
}

void read_voc_file(const fs::path& file, std::int32_t class_id, const ImageSet& set,
                   const ImageFinder& finder, FiledDetections& to) {
  InputFile in(file, kMaxResultsBytes);
  LineReader lines(in, file.string());
  for (std::string_view line; lines.next(line);) {
    if (line.empty()) continue;
    const Where here{file.string(), lines.number()};
    const auto parsed = parse_voc_line(line);
    if (!parsed) fail_at(here, "'", shown(line), "': expected image score left top right bottom");
    const auto i = finder.by_name(std::string(parsed->image), here);
    if (!i) fail_at(here, "image '", shown(parsed->image), "' is not in the list");
    // Darknet writes corners from 1, the right and lower ones as far.
    const auto& v = parsed->numbers;
    const double x = v[1] - 1, y = v[2] - 1, w = v[3] - 1 - x, h = v[4] - 1 - y;
    if (w < 0 || h < 0) fail_at(here, "expected right of left and below top");
    to.images[*i].push_back(
        {box_of(x, y, w, h, set.sizes[*i]), class_id, 0, static_cast<float>(v[0])});
    ++to.detections;
  }
}

// The class whose name ends the file's; of several the longest name.
std::optional<std::int32_t> class_of_file(const fs::path& file, const ImageSet& set) {
  const std::string stem = file.stem().string();
  std::optional<std::int32_t> best;
  std::size_t length = 0;
  for (std::size_t k = 0; k < set.names.size(); ++k) {
    const std::string name = fs::path(voc_file_name("", set.names[k])).stem().string();
    const bool ends = stem == name || stem.ends_with("_" + name);
    if (ends && name.size() > length) best = static_cast<std::int32_t>(k), length = name.size();
  }
  return best;
}

void read_voc(const fs::path& path, const ImageSet& set, FiledDetections& to) {
  require_voc_classes(set.names);
  std::set<fs::path> files{path};  // in order of their names
  if (is_folder(path)) {
    files.clear();
    for (const fs::path& file : entries_of(path))
      if (file.extension() == ".txt" && class_of_file(file, set)) files.insert(file);
  }
  if (files.empty())
    fail_at({path.string(), 0}, "no file of this folder is called like a class, as comp4_det_test_",
            set.names.empty() ? "NAME" : set.names.front(), ".txt is");
  const ImageFinder finder(set.images);
  for (const fs::path& file : files) {
    const auto class_id = class_of_file(file, set);
    if (!class_id)
      fail_at({file.string(), 0},
              "neither .json (COCO) nor called like a class (VOC: comp4_det_test_",
              set.names.empty() ? "NAME" : set.names.front(), ".txt)");
    read_voc_file(file, *class_id, set, finder, to);
  }
}

}  // namespace

FiledDetections read_detections(const fs::path& path, const ImageSet& set) {
  FiledDetections all;
  all.images.resize(set.images.size());
  if (!is_present(path)) fail_at({path.string(), 0}, "no such file or folder of detections");
  if (path.extension() == ".json" || is_pipe(path))
    read_coco(path, set, all);
  else
    read_voc(path, set, all);
  return all;
}

}  // namespace darknet
