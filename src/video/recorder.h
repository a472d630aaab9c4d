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
// the array's end over the last end. Only a kill in the middle of that call can cut an element.
class JsonArrayFile {
 public:
  explicit JsonArrayFile(std::filesystem::path);
  JsonArrayFile(const JsonArrayFile&) = delete;
  JsonArrayFile& operator=(const JsonArrayFile&) = delete;
  ~JsonArrayFile();
  // The first element replaces the file. Where one cannot be written, the file stays as it was.
  void add(const std::string& element);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;   // from the first element on
  std::int64_t end_ = 0;  // bytes before the array's end
};

// lines: one object a line (JSON Lines). array: AlexeyAB's file. Both are valid when the
// program ends or is killed between two records, also where the disk is full.
enum class RecordFormat : std::uint8_t { lines, array };
RecordFormat record_format_of(const std::filesystem::path&);  // .json: an array

FileFormat record_format();  // of the file, either way

// The file of an earlier run is replaced by the first record: a run that records nothing leaves it.
class Recorder {
 public:
  // Throws where the file could not be replaced.
  Recorder(std::filesystem::path, RecordFormat);
  void add(const std::string& line);

 private:
  std::filesystem::path path_;
  std::optional<AppendedFile> lines_;  // from the second line on
  std::optional<JsonArrayFile> array_;
};

}  // namespace darknet
