// Commands as they are typed into a shell.
#pragma once
#include <span>
#include <string>

namespace darknet {

// As it is where a shell reads it so, else in quotes.
std::string shell_word(const std::string&);
std::string shell_command(std::span<const std::string> words);  // with blanks between them

}  // namespace darknet
