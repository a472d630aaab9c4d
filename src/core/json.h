// JSON from and to text. nlohmann's parser and writer are templates, of which every file that calls
// them compiles its own copy; these functions have the only ones. Not for files that nvcc compiles.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace darknet {

// Bad text: nlohmann::json::parse_error, or without exceptions a value that is_discarded().
nlohmann::json parse_json(std::string_view text, bool allow_exceptions = true);
nlohmann::ordered_json parse_ordered_json(std::string_view text, bool allow_exceptions = true);

// On one line, or by lines that are indented by so many blanks for each level. Text that is not
// UTF-8: nlohmann::json::type_error where `invalid` is strict.
using InvalidUtf8 = nlohmann::json::error_handler_t;
std::string dump_json(const nlohmann::json& value, int indent = -1,
                      InvalidUtf8 invalid = InvalidUtf8::strict);
std::string dump_json(const nlohmann::ordered_json& value, int indent = -1,
                      InvalidUtf8 invalid = InvalidUtf8::strict);

}  // namespace darknet
