// Pages made from the program's own declarations: help texts, the cfg reference, a manual page and
// shell completion. The commands print them; nothing here is written by hand twice.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cfg/section.h"

namespace darknet::cli {

// Every command with its words: {"detector", "train"}.
struct CommandEntry {
  std::vector<std::string> words;
  const CLI::App* app = nullptr;
  std::string name() const;  // "detector train"
};
std::vector<CommandEntry> commands_of(const CLI::App& program);
// -flag for people, who type one dash.
std::string flag_name(const CLI::Option&);

// The sections of a .cfg and the keys of one.
std::vector<std::string> cfg_sections();
KeyDocs keys_of(const std::string& section);

std::string cfg_reference();                       // Markdown
std::string manual_page(const CLI::App& program);  // roff, section 1
std::string bash_completion(const CLI::App& program);

}  // namespace darknet::cli
