// From the words of the command line to a command that runs, or to a usage error.
#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <regex>
#include <utility>

#include "cfg/parse.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/help.h"
#include "cli/old_commands.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/number.h"
#include "core/ranks.h"
#include "core/text.h"
#include "core/waiting.h"
#include "image/image_warnings.h"

namespace darknet::cli {
namespace {

constexpr int kUsageError = 2;

bool is_number(const std::string& s) {
  double value = 0;
  return read_number(s, value);
}

std::string normalised(const std::string& word) {
  const auto dashes = word.find_first_not_of('-');
  if (dashes == word.npos || dashes == 0 || dashes > 2 || is_number(word)) return word;
  const auto equals = std::min(word.find('='), word.size());
  std::string name = word.substr(dashes, equals - dashes);
  if (name.size() == 1) return "-" + name + word.substr(equals);
  for (char& c : name)
    if (c == '-') c = '_';
  return "--" + name + word.substr(equals);
}

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

bool is_flag(const std::string& word) { return word.starts_with('-') && !is_number(word); }

// Moves the command's words to the front: the Darknet forks take flags before them too.
void put_commands_first(const CLI::App& program, std::vector<std::string>& words) {
  const CLI::App* at = &program;
  for (auto front = words.begin(); front != words.end() && !subcommands(*at).empty(); ++front) {
    const CLI::App* next = nullptr;
    auto word = front;
    for (; word != words.end(); ++word) {
      for (const CLI::App* sub : subcommands(*at))
        if (sub->get_name() == *word) next = sub;
      const bool value = word != front && is_flag(*(word - 1));
      if (next || !(is_flag(*word) || value)) break;
    }
    if (!next) return;
    std::rotate(front, word, word + 1);
    at = next;
  }
}

// Whether the first words are a whole command.
bool names_a_command(const CLI::App& program, const std::vector<std::string>& words) {
  const CLI::App* at = &program;
  for (const std::string& word : words) {
    const auto all = subcommands(*at);
    const auto next =
        std::ranges::find_if(all, [&](const CLI::App* sub) { return sub->get_name() == word; });
    if (next == all.end()) break;
    at = *next;
  }
  return at != &program && at->get_require_subcommand_min() == 0;
}

// "-clear 1", as some write it, is "-clear": a flag takes the 0 or 1 behind it, but in commands
// that such a word may mean something else to.
void join_flag_values(const CLI::App& program, std::vector<std::string>& words) {
  const CLI::App* at = &program;
  auto word = words.begin();
  for (; word != words.end(); ++word) {
    const auto all = subcommands(*at);
    const auto next = std::find_if(all.begin(), all.end(),
                                   [&](const CLI::App* a) { return a->get_name() == *word; });
    if (next == all.end()) break;
    at = *next;
  }
  if (at->get_name() == "demo" || at->get_name() == "partial") return;  // a camera, a number
  for (; word != words.end() && word + 1 != words.end(); ++word) {
    const CLI::Option* const option = at->get_option_no_throw(*word);
    const std::string& value = *(word + 1);
    if (!is_flag(*word) || !option || option->get_items_expected_max() != 0 ||
        (value != "0" && value != "1"))
      continue;
    *word += "=" + value;
    words.erase(word + 1);
  }
}

// The command that was meant: "darknet", "detector", "train".
std::vector<const CLI::App*> named(const CLI::App& program) {
  std::vector<const CLI::App*> path{&program};
  while (!path.back()->get_subcommands().empty())
    path.push_back(path.back()->get_subcommands().front());
  return path;
}

std::vector<std::string> vocabulary(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::Option* o : app.get_options())
    for (const std::string& name : o->get_lnames()) words.push_back("-" + name);
  for (const CLI::App* sub : subcommands(app)) words.push_back(sub->get_name());
  return words;
}

// "train" alone means "detector train".
std::string inner_command(const CLI::App& app, const std::string& word) {
  for (const CLI::App* group : subcommands(app))
    for (const CLI::App* sub : subcommands(*group))
      if (sub->get_name() == word) return group->get_name() + " " + word;
  return "";
}

std::string surplus(const CLI::App& app, std::string word) {
  if (word.starts_with("--")) word.erase(0, 1);
  if (word.starts_with("-")) word = word.substr(0, word.find('='));
  const bool group = !subcommands(app).empty();
  std::string near = inner_command(app, word);
  if (near.empty()) near = nearest(word, vocabulary(app));
  return cat(word.starts_with("-") ? "unknown flag '"
             : group               ? "unknown command '"
                                   : "surplus word '",
             word, "'", near.empty() ? "" : cat("; did you mean '", near, "'?"));
}

// A flag in the place of a value is a value that was forgotten.
void refuse_flags_as_values(CLI::App& app) {
  for (CLI::Option* o : app.get_options())
    if (o->nonpositional() && o->get_items_expected_max() > 0)
      o->check([](const std::string& value) {
        return value.starts_with("--") ? cat("needs a value before '", value.substr(1), "'") : "";
      });
  for (CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    refuse_flags_as_values(*sub);
}

constexpr std::size_t kMaxRewritten = 4096;

// CLI11's sentences as the other messages are.
std::string in_plain_words(std::string text) {
  static const std::vector<std::pair<std::regex, std::string>> rewrites{
      {std::regex("^(--?\\S+): At Most 1 required but received (\\d+)$"), "$1 is given $2 times"},
      {std::regex("^(--?\\S+): 1 required (.+) missing$"), "$1 needs a value ($2)"},
      {std::regex("^(--?\\S+): (.*) not in \\{(.*)\\}$"), "$1: '$2' is none of $3"},
      {std::regex("^(--?\\S+): Value (.*) not in range (\\S+) to (\\S+)$"),
       "$1: '$2' is not from $3 to $4"},
      {std::regex("^(?:-(?=-))?(\\S+) requires (?:-(?=-))?(\\S+)$"), "$1 needs $2"},
      {std::regex("^(?:-(?=-))?(\\S+) excludes (?:-(?=-))?(\\S+)$"),
       "$1 and $2 cannot be given together"}};
  // std::regex recurses for each character.
  if (text.size() > kMaxRewritten) return text;
  for (const auto& [pattern, plain] : rewrites) text = std::regex_replace(text, pattern, plain);
  return text.starts_with("--") ? text.substr(1) : text;
}

int print_usage_error(const CLI::App& app, const std::string& text) {
  let_rank_0_report();
  const std::int64_t rank = launch_of_environment().rank;
  std::string words;
  for (const CLI::App* a : named(app)) words += (words.empty() ? "" : " ") + a->get_name();
  std::fprintf(stderr, "%s: %s%s\nsee: %s --help\n", words.c_str(),
               rank > 0 ? cat("rank ", rank, ": ").c_str() : "", printable(text, "\n").c_str(),
               words.c_str());
  return kUsageError;
}

// What `darknet --help` says of a group of commands.
void describe_groups(CLI::App& program) {
  for (CLI::App* group : program.get_subcommands([](const CLI::App*) { return true; })) {
    std::string names;
    for (const CLI::App* sub : subcommands(*group))
      names += (names.empty() ? "" : ", ") + sub->get_name();
    if (!names.empty() && group->get_require_subcommand_min() > 0)
      group->description(names + "; see darknet " + group->get_name() + " --help");
  }
}

// Darknet's flags as CLI11 expects them: -dont_show becomes --dont_show; numbers such as -1 stay.
std::vector<std::string> normalise(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  out.reserve(arguments.size());
  bool names = false;  // behind "--" nothing is a flag
  for (const std::string& a : arguments) {
    out.push_back(names ? a : normalised(a));
    names |= a == "--";
  }
  return out;
}

// Of the command that the words name; "recall --help" is of `detector recall`, and "visualize
// --help" of what other forks have.
int print_help_of(const CLI::App& app, const Program& program) {
  std::vector<std::string> words;
  for (const CLI::App* a : named(app))
    if (a != &app) words.push_back(a->get_name());
  const std::vector<std::string> left = app.remaining(true);
  const auto word = std::find_if_not(left.begin(), left.end(), is_flag);
  std::vector<std::string> asked = words;
  if (word != left.end()) asked.push_back(*word);
  const bool old = !names_a_command(app, asked) && old_command_help(asked).has_value();
  return print_help(program.document(), words.empty() || old ? asked : words);
}

int parse_and_run(CLI::App& app, Program& program, const std::vector<std::string>& typed) {
  std::vector<std::string> arguments = normalise(typed);
  if (arguments.size() == 1 && arguments[0] == "--version") arguments = {"version"};
  put_commands_first(app, arguments);
  const bool help =
      std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h") > 0;
  if (!help && !names_a_command(app, arguments))
    arguments = translate_old_command(std::move(arguments));
  join_flag_values(app, arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return print_help_of(app, program);
  }
  const RunOutputs outputs;
  const ImageWarningSummary at_the_end;
  const AdaptiveWaiting waiting;
  return program.run();
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app("Darknet Focal: trains and runs detectors described by .cfg files", "darknet");
  app.option_defaults()->ignore_case()->ignore_underscore();
  app.require_subcommand(1);
  Program program(app);
#define COMMAND(name) add_##name(program);
#include "cli/commands.def"
#undef COMMAND
  describe_groups(app);
  refuse_flags_as_values(app);
  try {
    return parse_and_run(app, program, {argv + std::min(argc, 1), argv + argc});
  } catch (const CLI::ParseError& e) {
    const std::vector<std::string> left = app.remaining(true);
    return print_usage_error(
        app, left.empty() ? in_plain_words(e.what()) : surplus(*named(app).back(), left.front()));
  } catch (const Error& e) {
    if (e.exit_code() != kUsageError) throw;
    return print_usage_error(app, e.what());
  }
}

}  // namespace darknet::cli
