// What was found in a video, as text: a JSON object per frame for programs, and files of them.
#pragma once
#include <filesystem>
#include <map>
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

// lines: one object a line (JSON Lines), valid up to its last line whenever the program ends.
// array: AlexeyAB's file, closed at the clean end.
enum class RecordFormat : std::uint8_t { lines, array };

class Recorder {
 public:
  Recorder(const std::filesystem::path&, RecordFormat);  // replaces the file
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  void add(const std::string& line);
  void close();  // once, after the last line

 private:
  AppendedFile file_;
  RecordFormat format_;
  bool first_ = true;
};

}  // namespace darknet
