#include "cfg/idle_keys.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "cfg/legacy_keys.h"
#include "cfg/parse.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

// Why a key of another fork does nothing; "" where it does, or is no such key.
std::string why_idle(std::string_view section, std::string_view key, std::string_view value) {
  float number = 0;
  for (const LegacyKey& k : legacy_keys()) {
    const bool there = k.section == section || (k.section == "*" && section != "net");
    if (!there || k.key != key) continue;
    if (k.kind == LegacyKey::Kind::ignored) return std::string(k.why);
    if (read_number(value, number) && number == k.no_op)
      return "has no effect: it is the default value";
  }
  return "";
}

}  // namespace

CleanedCfg without_idle_keys(const std::string& text,
                             const std::function<std::string(std::string_view)>& name_of_type) {
  CleanedCfg cleaned;
  std::istringstream in(text);
  LineReader reader(in, "cfg");
  std::string type, section;
  std::map<std::string, int, std::less<>> lines;  // on which the section's keys are first given
  for (std::string_view line; reader.next(line);) {
    const std::string_view code = trim(without_comment(line));
    const auto equals = std::min(code.find('='), code.size());
    std::string why;
    if (code.starts_with('[')) {
      type = std::string(trim(code.substr(1, code.find(']') - 1)));
      section = type == "network" || type == "net" ? "net" : name_of_type(type);
      lines.clear();
    } else if (equals < code.size()) {
      const std::string key(trim(code.substr(0, equals)));
      why = why_idle(section, key, trim(code.substr(equals + 1)));
      const auto [first, added] = lines.emplace(key, reader.number());
      if (!added) why = cat("it was already set on line ", first->second);
    }
    if (why.empty())
      cleaned.text += cat(line, '\n');
    else
      cleaned.removed.push_back({reader.number(), type, std::string(code), why});
  }
  return cleaned;
}

}  // namespace darknet
