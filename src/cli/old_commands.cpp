#include "cli/old_commands.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <sstream>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet::cli {
namespace {

struct OldCommand {
  std::string_view words;  // "yolo test"
  std::string_view now;    // "detect $1 $2 $3+"; "": nothing
  std::string_view instead;
};
constexpr OldCommand kOldCommands[] = {
#define RENAMED(words, now) {words, now, ""},
#define GONE(words, instead) {words, "", instead},
#include "cli/old_commands.def"
#undef RENAMED
#undef GONE
};

// How many of the words the command takes; 0: it is another.
std::size_t words_of(const OldCommand& old, std::span<const std::string> words) {
  const auto blank = old.words.find(' ');
  const bool two = blank != old.words.npos;
  if (words.empty() || words[0] != old.words.substr(0, blank)) return 0;
  if (!two) return 1;
  return words.size() > 1 && words[1] == old.words.substr(blank + 1) ? 2 : 0;
}

// The words for "$2", "$3.cfg", "$4+" or "-rgbgr". `missing`: whether there is no such argument.
std::vector<std::string> filled(const std::string& place, std::span<const std::string> arguments,
                                bool& missing) {
  if (!place.starts_with('$')) return {place};
  const auto index = static_cast<std::size_t>(place[1] - '1');
  const std::string_view rest = std::string_view(place).substr(2);
  if (rest == "+")
    return {arguments.begin() + static_cast<std::ptrdiff_t>(std::min(index, arguments.size())),
            arguments.end()};
  missing |= index >= arguments.size();
  if (missing) return {};
  if (rest.empty()) return {arguments[index]};
  return {std::filesystem::path(arguments[index]).replace_extension(rest).string()};
}

// The words of the new command, before its arguments and flags.
std::vector<std::string> new_command(const OldCommand& old) {
  std::vector<std::string> words;
  std::istringstream in{std::string(old.now)};
  for (std::string word; in >> word && word.find_first_of("$-") != 0;) words.push_back(word);
  return words;
}

std::string gone(const OldCommand& old) {
  return cat("'", old.words, "' is not there: ", old.instead);
}

std::vector<std::string> renamed(const OldCommand& old, std::span<const std::string> behind) {
  const auto flag = std::ranges::find_if(
      behind, [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); });
  const std::vector<std::string> arguments(behind.begin(), flag);
  const std::vector<std::string> of_command = new_command(old);
  std::vector<std::string> words;
  std::size_t used = 0;
  bool missing = false;
  std::istringstream places{std::string(old.now)};
  for (std::string place; places >> place;) {
    const std::vector<std::string> more = filled(place, arguments, missing);
    words.insert(words.end(), more.begin(), more.end());
    if (place.starts_with('$'))
      used = place.ends_with('+') ? arguments.size()
                                  : std::max(used, static_cast<std::size_t>(place[1] - '0'));
  }
  if (missing)
    throw Error(
        cat("'", old.words, "' is '", joined(of_command),
            "' here, and arguments are missing; see darknet ", joined(of_command), " --help"),
        2);
  log::warn(cat("'", old.words, "' runs darknet ", printable(joined(words))));
  for (std::size_t i = used; i < arguments.size(); ++i) words.push_back(arguments[i]);
  words.insert(words.end(), flag, behind.end());
  for (std::string& word : words)  // as program.cpp wants flags
    if (word.size() > 2 && word.starts_with('-') && word[1] >= 'a' && word[1] <= 'z')
      word.insert(0, "-");
  return words;
}

}  // namespace

std::vector<std::string> translate_old_command(std::vector<std::string> words) {
  for (const OldCommand& old : kOldCommands) {
    const std::size_t count = words_of(old, words);
    if (count == 0) continue;
    if (!old.instead.empty()) throw Error(gone(old), 2);
    return renamed(old, std::span(words).subspan(count));
  }
  return words;
}

std::optional<OldCommandHelp> old_command_help(const std::vector<std::string>& words) {
  for (const OldCommand& old : kOldCommands) {
    if (words_of(old, words) == 0) continue;
    if (!old.instead.empty()) return OldCommandHelp{gone(old), {}};
    const std::vector<std::string> now = new_command(old);
    return OldCommandHelp{cat("'", old.words, "' is '", joined(now), "' here"), now};
  }
  return std::nullopt;
}

}  // namespace darknet::cli
