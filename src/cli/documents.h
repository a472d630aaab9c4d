// Pages made from the program's own declarations: help texts, the cfg reference, a manual page and
// shell completion. The commands print them; nothing here is written by hand twice.
#pragma once
#include <string>
#include <vector>

#include "cfg/section.h"

namespace darknet::cli {

// An argument, option or flag as it was declared.
struct OptionDoc {
  std::string name;   // "data", or as people type it: "-mAP_epochs"
  std::string title;  // of the help: all names, value, default and what it needs or excludes
  std::string value;  // what its value is: "TEXT"; "" of a flag
  std::string help;
  std::string group;                                      // "Options", or a heading of its own
  bool argument = false, required = false, many = false;  // many: takes several words
  std::string usage() const;  // of an argument: "cfg", "[weights]", "logs..."
};

// A command, a group of commands, or the program.
struct CommandDoc {
  std::vector<std::string> words;  // {"detector", "train"}; of the program: none
  std::string help, footer;
  std::vector<OptionDoc> options;
  std::vector<CommandDoc> commands;  // of a group
  bool runs = false;                 // by itself, without a command of the group
  std::string name() const;          // "detector train"
};

// Every command that runs.
std::vector<CommandDoc> commands_of(const CommandDoc& program);
// The sections of a .cfg and the keys of one.
std::vector<std::string> cfg_sections();
KeyDocs keys_of(const std::string& section);

std::string cfg_reference();                         // Markdown
std::string manual_page(const CommandDoc& program);  // roff, section 1
std::string bash_completion(const CommandDoc& program);

}  // namespace darknet::cli
