#include "core/json.h"

namespace darknet {

nlohmann::json parse_json(std::string_view text, bool allow_exceptions) {
  return nlohmann::json::parse(text, nullptr, allow_exceptions);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, bool allow_exceptions) {
  return nlohmann::ordered_json::parse(text, nullptr, allow_exceptions);
}

std::string dump_json(const nlohmann::json& value, int indent, InvalidUtf8 invalid) {
  return value.dump(indent, ' ', false, invalid);
}

std::string dump_json(const nlohmann::ordered_json& value, int indent, InvalidUtf8 invalid) {
  return value.dump(indent, ' ', false, invalid);
}

}  // namespace darknet
