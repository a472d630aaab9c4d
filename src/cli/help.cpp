// darknet help [command or section], and the pages that are made from the declarations: reference,
// manual, completion
#include "cli/help.h"

#include <fmt/core.h>

#include <algorithm>

#include "cfg/parse.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/help_page.h"
#include "cli/old_commands.h"
#include "core/text.h"
#include "nn/layer.h"

namespace darknet::cli {
namespace {

// The four columns of a section's keys; the texts below where little room is left for them.
void print_row(const KeyDoc& d) {
  constexpr std::size_t kBeside = 61, kBelow = 24, kMinWidth = 100;
  const std::size_t width = page_width();
  fmt::print("{}", two_columns(fmt::format("{:<20} {:<12} {:<24}", d.key,
                                           d.fallback.empty() ? "-" : d.fallback, d.allowed),
                               d.help, width < kMinWidth ? kBelow : kBeside, width));
}

void print(const std::string& title, const KeyDocs& docs) {
  fmt::print("[{}]\n", title);
  for (const KeyDoc& d : docs.docs()) print_row(d);
}

void print_section(const std::string& section) {
  print_row({"key", "default", "values", "meaning"});
  print(section, keys_of(section));
  if (section == "net" || section == "network") return;
  KeyDocs common;
  common.add(CommonKeys{});
  print("every section", common);
}

void print_all(const CommandDoc& program) {
  const std::size_t width = page_width();
  std::string sections;
  for (const std::string& section : cfg_sections()) sections += " " + section;
  fmt::print(
      "{}\nSections of a .cfg (darknet help SECTION lists their keys):\n  {}Commands in full: "
      "darknet help COMMAND, or darknet COMMAND --help\n",
      help_page(program, width), paragraph(sections, width - 2, 2));
}

// The command or group with these words; null where there is none.
const CommandDoc* with_words(const CommandDoc& at, const std::vector<std::string>& words) {
  if (at.words == words) return &at;
  for (const CommandDoc& c : at.commands)
    if (const CommandDoc* const found = with_words(c, words)) return found;
  return nullptr;
}

// "train" for "detector train".
const CommandDoc* with_last_word(const CommandDoc& at, const std::string& word) {
  if (!at.words.empty() && at.words.back() == word) return &at;
  for (const CommandDoc& c : at.commands)
    if (const CommandDoc* const found = with_last_word(c, word)) return found;
  return nullptr;
}

const CommandDoc* command_of(const CommandDoc& program, const std::vector<std::string>& words) {
  const CommandDoc* const found = with_words(program, words);
  return found || words.size() != 1 ? found : with_last_word(program, words.front());
}

bool is_section(const std::string& word) {
  const auto all = cfg_sections();
  return word == "network" || std::find(all.begin(), all.end(), word) != all.end();
}

[[noreturn]] void fail_unknown(const CommandDoc& program, const std::vector<std::string>& words) {
  std::vector<std::string> known = cfg_sections();
  const std::string asked = joined(words);
  for (const CommandDoc& c : commands_of(program)) {
    known.push_back(c.name());
    known.push_back(c.words.back());
  }
  const std::string near = nearest(asked, known);
  throw Error(cat("'", asked, "' is neither a command nor a section of a .cfg",
                  near.empty() ? "" : cat("; did you mean '", near, "'?")),
              2);
}

// A command that prints a page.
template <class Page>
void add_page(Program& program, const char* word, const char* what, const Page& page) {
  program.command(word, what).runs([page] {
    fmt::print("{}", page());
    return 0;
  });
}

}  // namespace

int print_help(const CommandDoc& program, std::vector<std::string> words) {
  if (words.empty()) {
    print_all(program);
    return 0;
  }
  std::string& word = words.front();
  if (words.size() == 1 && word.starts_with('[') && word.ends_with(']'))
    word = word.substr(1, word.size() - 2);
  if (const CommandDoc* const command = command_of(program, words)) {
    fmt::print("{}", help_page(*command, page_width()));
    return 0;
  }
  if (const auto why = why_unsupported(word); words.size() == 1 && !why.empty()) {
    fmt::print("[{}] is a section of other Darknet forks: {}\n", word, why);
    return 0;
  }
  if (words.size() == 1 && is_section(word)) {
    print_section(word);
    return 0;
  }
  const auto old = old_command_help(words);
  if (!old) fail_unknown(program, words);
  fmt::print("{}\n", old->text);
  if (!old->now.empty())
    fmt::print("\n{}", help_page(*command_of(program, old->now), page_width()));
  return 0;
}

void add_help(Program& program) {
  const Command command = program.command("help", "a command, or every key of a cfg section");
  auto& words = command.options<std::vector<std::string>>();
  command.argument("topic", words, "e.g. yolo, or detector train");
  command.runs([&program, &words] { return print_help(program.document(), words); });
  add_page(program, "reference", "every key of every section, as Markdown",
           [] { return cfg_reference(); });
  add_page(program, "manual", "the manual page: darknet manual | man -l -",
           [&program] { return manual_page(program.document()); });
  add_page(program, "completion", "for bash: source <(darknet completion)",
           [&program] { return bash_completion(program.document()); });
}

}  // namespace darknet::cli
