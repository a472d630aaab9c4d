// The commands of other Darknet forks that have another name here, or none: old_commands.def.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace darknet::cli {

// The words of a command line, whose first ones are no command of this program, as this program has
// them, with a warning that names the new command; others as they are. Throws a usage error where
// there is nothing like it, or words are missing.
std::vector<std::string> in_new_words(std::vector<std::string> words);

// What help says of such a command.
struct OldCommandHelp {
  std::string text;              // "'average' is 'weights average' here"
  std::vector<std::string> now;  // the words of the new command; none: nothing like it
};
std::optional<OldCommandHelp> old_command_help(const std::vector<std::string>& words);

}  // namespace darknet::cli
