#include "video/recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "dataset/results_darknet.h"

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

std::string one_line(const json& j) { return dump_json(j, -1, InvalidUtf8::replace); }

constexpr std::string_view kArrayBegin = "[\n", kArrayEnd = "\n]\n";

bool write_at(int descriptor, const std::string& text, std::int64_t position) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::pwrite(descriptor, text.data() + done, text.size() - done,
                                   position + static_cast<std::int64_t>(done));
    if (wrote < 0 && errno != EINTR) return false;
    done += to_size(std::max<ssize_t>(wrote, 0));
  }
  return true;
}

void replace(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path, record_format());
  file.write(text);
  file.commit();
}

}  // namespace

FileFormat record_format() { return json_format({"frame_id", "seconds", "objects"}); }

std::string frame_json(const Frame& frame, const std::vector<std::string>& names) {
  return one_line({{"frame_id", frame.number},
                   {"seconds", frame.seconds},
                   {"objects", objects_of(frame, names)}});
}

std::string state_json(const Frame& frame, const std::vector<std::string>& names,
                       const VideoSummary& s, const std::map<std::int32_t, std::int64_t>& seen) {
  json counts = json::object(), tracked = json::object();
  for (const TrackedDetection& t : frame.found) {
    json& count = counts[names[to_size(t.detection.class_id)]];
    count = count.is_null() ? 1 : count.get<int>() + 1;
  }
  for (const auto& [class_id, count] : seen) tracked[names[to_size(class_id)]] = count;
  return one_line({{"frame_id", frame.number},
                   {"seconds", frame.seconds},
                   {"fps", s.recent_fps},
                   {"latency_ms", s.recent_latency},
                   {"dropped", s.dropped},
                   {"counts", counts},
                   {"seen", tracked},
                   {"objects", objects_of(frame, names)}});
}

JsonArrayFile::JsonArrayFile(std::filesystem::path path) : path_(std::move(path)) {}

JsonArrayFile::~JsonArrayFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void JsonArrayFile::add(const std::string& element) {
  const bool first = descriptor_ < 0;
  const std::string text = cat(first ? kArrayBegin : ",\n", element, kArrayEnd);
  if (first) {
    replace(path_, text);
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail(path_.string(), ": cannot write: ", std::strerror(errno));
  } else if (!write_at(descriptor_, text, end_)) {
    const int why = errno;
    write_at(descriptor_, std::string(kArrayEnd), end_);  // over bytes that the file has already
    const auto end = end_ + std::ssize(kArrayEnd);
    const bool whole = ::ftruncate(descriptor_, end) == 0;
    fail(path_.string(), ": cannot write: ", std::strerror(why),
         whole ? "" : "; the array is damaged");
  }
  end_ += static_cast<std::int64_t>(text.size() - kArrayEnd.size());
}

RecordFormat record_format_of(const std::filesystem::path& path) {
  return path.extension() == ".json" ? RecordFormat::array : RecordFormat::lines;
}

Recorder::Recorder(std::filesystem::path path, RecordFormat format) : path_(std::move(path)) {
  const AtomicFile unused(path_, record_format());
  if (format == RecordFormat::array) array_.emplace(path_);
}

void Recorder::add(const std::string& line) {
  if (array_) {
    array_->add(line);
  } else if (lines_) {
    lines_->append(line + "\n");
  } else {
    replace(path_, line + "\n");
    lines_.emplace(path_);
  }
}

}  // namespace darknet
