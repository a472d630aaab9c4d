// What was found in a video, as text: a JSON object per frame for programs, and files of them.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/file.h"
#include "video/frame.h"
#include "video/statistics.h"

namespace darknet {

// AlexeyAB's object of a frame ({"frame_id", "objects": [...]}) with "seconds", and in objects that
// are tracked "track_id". One line, without its end.
std::string frame_json(const Frame&, const std::vector<std::string>& names);
// What the web page asks for: figures, counts by class ("seen": how many were tracked so far), and
// the objects.
std::string state_json(const Frame&, const std::vector<std::string>& names, const VideoSummary&,
                       const std::map<std::int32_t, std::int64_t>& seen);

// A JSON array in a file, whole after each element: one call of the system writes an element and
// the array's end over the last end.
class JsonArrayFile {
 public:
  explicit JsonArrayFile(std::filesystem::path);  // replaces the file
  JsonArrayFile(const JsonArrayFile&) = delete;
  JsonArrayFile& operator=(const JsonArrayFile&) = delete;
  ~JsonArrayFile();
  void add(const std::string& element);  // where that fails, the array stays as it was

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t end_ = 0;  // bytes before the array's end
  bool first_ = true;
};

// lines: one object a line (JSON Lines). array: AlexeyAB's file. Both are valid whenever the
// program ends.
enum class RecordFormat : std::uint8_t { lines, array };
RecordFormat record_format_of(const std::filesystem::path&);  // .json: an array

FileFormat record_format();  // of the file, either way

class Recorder {
 public:
  Recorder(const std::filesystem::path&, RecordFormat);  // replaces the file
  void add(const std::string& line);

 private:
  std::optional<AppendedFile> lines_;
  std::optional<JsonArrayFile> array_;
};

}  // namespace darknet
