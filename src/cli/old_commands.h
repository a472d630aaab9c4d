// The commands of other Darknet forks that have another name here, or none: old_commands.def.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace darknet::cli {

// `words`: a command line that does not begin with a command of this program. Where it begins with
// a command of another fork, returns the words of the new command and warns with its name; else
// returns `words`. Throws a usage error where this program has no such command, or words are
// missing.
std::vector<std::string> translate_old_command(std::vector<std::string> words);

// The help of such a command.
struct OldCommandHelp {
  std::string text;              // "'average' is 'weights average' here"
  std::vector<std::string> now;  // the words of the new command; none: nothing like it
};
std::optional<OldCommandHelp> old_command_help(const std::vector<std::string>& words);

}  // namespace darknet::cli
