// Reading a JSON file that lies next to weights and belongs to them, with messages that name the
// file and what writes it anew.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace darknet {

// As text: JSON numbers are doubles to many programs.
std::string checksum_text(std::uint64_t sum);

class StoredJson {
 public:
  // Throws where there is no such file, where it is larger, and where it holds no JSON object.
  StoredJson(std::filesystem::path file, std::string remedy, std::uint64_t max_bytes);

  [[noreturn]] void fail_in(const std::string& why) const;
  const nlohmann::json& root() const { return root_; }
  // These throw where `from` is no object with the key, or its value is another.
  const nlohmann::json& field(const nlohmann::json& from, const char* key) const;
  const nlohmann::json& list(const nlohmann::json& from, const char* key) const;
  void require_checksum(const char* key, std::uint64_t sum, const char* otherwise) const;
  std::int64_t integer(const nlohmann::json& from, const char* key, std::int64_t most) const;
  // `value`: of "key". Throws where it is no number.
  double number(const nlohmann::json& value, const char* key) const;

 private:
  std::filesystem::path file_;
  std::string remedy_;
  nlohmann::json root_;
};

}  // namespace darknet
