// darknet help [command or section], and the pages that are made from the declarations: reference,
// manual, completion
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "cfg/parse.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "nn/layer.h"

namespace darknet::cli {
namespace {

void print(const std::string& title, const KeyDocs& docs) {
  fmt::print("[{}]\n", title);
  for (const KeyDoc& d : docs.docs())
    fmt::print("  {:<20} {:<12} {:<24} {}\n", d.key, d.fallback.empty() ? "-" : d.fallback,
               d.allowed, d.help);
}

void print_section(const std::string& section) {
  fmt::print("  {:<20} {:<12} {:<24} {}\n", "key", "default", "values", "meaning");
  print(section, keys_of(section));
  if (section == "net" || section == "network") return;
  KeyDocs common;
  common.add(CommonKeys{});
  print("every section", common);
}

void print_all(const CLI::App& program) {
  // not program.help(), which is that of the command being run: of this one
  fmt::print(
      "{}\nSections of a .cfg (darknet help SECTION lists their keys):\n ",
      program.get_formatter()->make_help(&program, program.get_name(), CLI::AppFormatMode::Normal));
  for (const std::string& section : cfg_sections()) fmt::print(" {}", section);
  fmt::print("\nCommands in full: darknet help COMMAND, or darknet COMMAND --help\n");
}

// "detector train", or "train" where only one command ends so.
const CLI::App* command_of(const CLI::App& program, const std::vector<std::string>& words) {
  for (const CommandEntry& c : commands_of(program))
    if (c.words == words || (words.size() == 1 && c.words.back() == words.front())) return c.app;
  return nullptr;
}

bool is_section(const std::string& word) {
  const auto all = cfg_sections();
  return word == "network" || std::find(all.begin(), all.end(), word) != all.end();
}

[[noreturn]] void fail_unknown(const CLI::App& program, const std::vector<std::string>& words) {
  std::vector<std::string> known = cfg_sections();
  std::string asked;
  for (const std::string& w : words) asked += (asked.empty() ? "" : " ") + w;
  for (const CommandEntry& c : commands_of(program)) {
    known.push_back(c.name());
    known.push_back(c.words.back());
  }
  const std::string near = nearest(asked, known);
  throw Error(cat("'", asked, "' is no command and no section of a .cfg",
                  near.empty() ? "" : cat("; did you mean '", near, "'?")),
              2);
}

int help(const CLI::App& program, std::vector<std::string> words) {
  if (words.empty()) {
    print_all(program);
    return 0;
  }
  std::string& word = words.front();
  if (words.size() == 1 && word.starts_with('[') && word.ends_with(']'))
    word = word.substr(1, word.size() - 2);
  if (const CLI::App* const app = command_of(program, words)) {
    std::string name = "darknet";
    for (const CommandEntry& c : commands_of(program))
      if (c.app == app) name += " " + c.name();
    fmt::print("{}", app->get_formatter()->make_help(app, name, CLI::AppFormatMode::Normal));
    return 0;
  }
  for (const CLI::App* group : program.get_subcommands([](const CLI::App*) { return true; }))
    if (words.size() == 1 && group->get_name() == word) {
      fmt::print("{}", group->get_formatter()->make_help(group, "darknet " + word,
                                                         CLI::AppFormatMode::Normal));
      return 0;
    }
  if (words.size() != 1 || !is_section(word)) fail_unknown(program, words);
  print_section(word);
  return 0;
}

// A command that prints a page.
template <class Page>
void add_page(CLI::App& program, Run& run, const std::vector<std::string>& words,
              const std::string& what, const Page& page) {
  subcommand(program, words, what).final_callback([&run, page] {
    run = [page] {
      fmt::print("{}", page());
      return 0;
    };
  });
}

}  // namespace

void add_help(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"help"}, "a command, or every key of a cfg section");
  const auto words = std::make_shared<std::vector<std::string>>();  // outlives this call
  app.add_option("topic", *words, "e.g. yolo, or detector train");
  app.final_callback(
      [words, &program, &run] { run = [words, &program] { return help(program, *words); }; });
  add_page(program, run, {"reference"}, "every key of every section, as Markdown",
           [] { return cfg_reference(); });
  add_page(program, run, {"manual"}, "the manual page: darknet manual | man -l -",
           [&program] { return manual_page(program); });
  add_page(program, run, {"completion"}, "for bash: source <(darknet completion)",
           [&program] { return bash_completion(program); });
}

}  // namespace darknet::cli
