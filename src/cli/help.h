// What `darknet help` prints, for `--help` behind the short form of a command too.
#pragma once
#include <string>
#include <vector>

#include "cli/documents.h"

namespace darknet::cli {

// Prints the help of a command, of a cfg section or, without words, of the program; returns the
// exit code. An Error with code 2 where no command and no section has this name.
int print_help(const CommandDoc& program, std::vector<std::string> words);

}  // namespace darknet::cli
