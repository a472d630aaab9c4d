#include "eval/stored_json.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/json.h"

namespace darknet {
using nlohmann::json;

std::string checksum_text(std::uint64_t sum) { return fmt::format("{:016x}", sum); }

StoredJson::StoredJson(std::filesystem::path file, std::string remedy, std::uint64_t max_bytes)
    : file_(std::move(file)), remedy_(std::move(remedy)) {
  if (!is_present(file_)) fail_in("there is no such file");
  root_ = parse_json(read_file(file_, max_bytes), false);
  if (!root_.is_object()) fail_in("this is not a JSON object");
}

void StoredJson::fail_in(const std::string& why) const {
  fail(file_.string(), ": ", why, "; ", remedy_);
}

const json& StoredJson::field(const json& from, const char* key) const {
  const auto at = from.find(key);
  if (at == from.end()) fail_in(cat("there is no \"", key, "\" where it is expected"));
  return *at;
}

const json& StoredJson::list(const json& from, const char* key) const {
  const json& value = field(from, key);
  if (!value.is_array()) fail_in(cat('"', key, "\" is not a list"));
  return value;
}

void StoredJson::require_checksum(const char* key, std::uint64_t sum, const char* otherwise) const {
  const json& text = field(root_, key);
  if (!text.is_string() || text.get<std::string>() != checksum_text(sum)) fail_in(otherwise);
}

std::int64_t StoredJson::integer(const json& from, const char* key, std::int64_t most) const {
  const json& value = field(from, key);
  const bool sound = value.is_number_integer() && value >= 0 && value <= most;
  if (!sound) fail_in(cat('"', key, "\" is not an integer from 0 to ", most));
  return value.get<std::int64_t>();
}

double StoredJson::number(const json& value, const char* key) const {
  if (!value.is_number()) fail_in(cat('"', key, "\" is not a number"));
  return value.get<double>();
}

}  // namespace darknet
