#include "video/recorder.h"

#include <nlohmann/json.hpp>

#include "dataset/detection_files.h"

namespace darknet {
namespace {
using nlohmann::json;

json objects_of(const Frame& frame, const std::vector<std::string>& names) {
  json objects = json::array();
  for (const TrackedDetection& t : frame.found) {
    objects.push_back(darknet_object(t.detection, names));
    if (t.id > 0) objects.back()["track_id"] = t.id;
  }
  return objects;
}

std::string one_line(const json& j) {
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

// An empty file: what an earlier run recorded is not mixed with this one.
const std::filesystem::path& emptied(const std::filesystem::path& path) {
  write_file_atomically(path, "");
  return path;
}

}  // namespace

std::string frame_json(const Frame& frame, const std::vector<std::string>& names) {
  return one_line({{"frame_id", frame.number},
                   {"seconds", frame.seconds},
                   {"objects", objects_of(frame, names)}});
}

std::string state_json(const Frame& frame, const std::vector<std::string>& names,
                       const VideoSummary& s, const std::map<std::int32_t, std::int64_t>& seen) {
  json counts = json::object(), tracked = json::object();
  for (const TrackedDetection& t : frame.found) {
    json& count = counts[names[static_cast<std::size_t>(t.detection.class_id)]];
    count = count.is_null() ? 1 : count.get<int>() + 1;
  }
  for (const auto& [class_id, count] : seen)
    tracked[names[static_cast<std::size_t>(class_id)]] = count;
  return one_line({{"frame_id", frame.number},
                   {"seconds", frame.seconds},
                   {"fps", s.recent_fps},
                   {"latency_ms", s.recent_latency},
                   {"dropped", s.dropped},
                   {"counts", counts},
                   {"seen", tracked},
                   {"objects", objects_of(frame, names)}});
}

Recorder::Recorder(const std::filesystem::path& path, RecordFormat format)
    : file_(emptied(path)), format_(format) {
  if (format_ == RecordFormat::array) file_.append("[\n");
}

void Recorder::add(const std::string& line) {
  if (format_ == RecordFormat::lines)
    file_.append(line + "\n");
  else
    file_.append((first_ ? "" : ",\n") + line);
  first_ = false;
}

void Recorder::close() {
  if (format_ == RecordFormat::array) file_.append("\n]\n");
}

}  // namespace darknet
