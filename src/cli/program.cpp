#include <algorithm>
#include <charconv>
#include <cstdio>

#include "cfg/parse.h"
#include "cli/command.h"
#include "core/error.h"

namespace darknet::cli {
namespace {

constexpr int kUsageError = 2;

bool is_number(const std::string& s) {
  double value = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), value);
  return ec == std::errc{} && end == s.data() + s.size();
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
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(sub->get_name());
  return words;
}

std::string surplus(const CLI::App& app, std::string word) {
  if (word.starts_with("--")) word.erase(0, 1);
  const std::string near = nearest(word, vocabulary(app));
  const bool group = !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  return cat(word.starts_with("-") ? "unknown flag '"
             : group               ? "unknown command '"
                                   : "surplus word '",
             word, "'", near.empty() ? "" : cat("; did you mean '", near, "'?"));
}

int tell_usage(const CLI::App& program, const CLI::ParseError& e) {
  const auto path = named(program);
  std::string words;
  for (const CLI::App* a : path) words += (words.empty() ? "" : " ") + a->get_name();
  const std::vector<std::string> left = program.remaining(true);
  const std::string text =
      left.empty() ? std::string(e.what()) : surplus(*path.back(), left.front());
  std::fprintf(stderr, "%s: %s\nsee: %s --help\n", words.c_str(), text.c_str(), words.c_str());
  return kUsageError;
}

}  // namespace

CLI::App& subcommand(CLI::App& program, const std::vector<std::string>& words,
                     const std::string& help) {
  CLI::App* at = &program;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto known =
        at->get_subcommands([&](const CLI::App* a) { return a->get_name() == words[i]; });
    CLI::App* next = known.empty() ? nullptr : known.front();
    if (!next) {
      next = at->add_subcommand(words[i], "");
      next->require_subcommand(0);
      if (i + 1 < words.size()) next->require_subcommand(1);
    }
    at = next;
  }
  at->description(help);
  return *at;
}

std::vector<std::string> normalise(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  out.reserve(arguments.size());
  for (const std::string& a : arguments) out.push_back(normalised(a));
  return out;
}

int run_program(int argc, char** argv) {
  CLI::App program("Darknet Focal: trains and runs detectors described by .cfg files", "darknet");
  program.option_defaults()->ignore_case()->ignore_underscore();
  program.require_subcommand(1);
  Run run;
#define COMMAND(name) add_##name(program, run);
#include "cli/commands.def"
#undef COMMAND
  std::vector<std::string> arguments = normalise({argv + std::min(argc, 1), argv + argc});
  if (arguments.size() == 1 && arguments[0] == "--version") arguments = {"version"};
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    program.parse(std::move(arguments));
  } catch (const CLI::CallForHelp& e) {
    return program.exit(e);
  } catch (const CLI::ParseError& e) {
    return tell_usage(program, e);
  }
  return run();
}

void add_overrides(CLI::App& app, std::vector<std::string>& overrides) {
  app.add_option("--set", overrides,
                 "override a cfg key: type.index.key=value, e.g. yolo.0.obj_gamma=1.5; may be "
                 "repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void add_threads(CLI::App& app, int& threads, const std::string& help) {
  app.add_option("--threads", threads, help)->check(CLI::Range(1, 1024))->type_name("N");
}

void add_exact(CLI::App& app, bool& exact) {
  app.add_flag("--exact", exact, "direct convolutions only: slower, closest to plain arithmetic");
}

void add_darknet_habits(CLI::App& app) {
  static constexpr const char* kGroup = "Accepted from the Darknets";
  app.add_flag_callback(
         "--dont_show", [] {}, "open no window")
      ->group(kGroup);
  app.add_flag_callback(
         "--nogpu", [] {}, "compute on the CPU, as this build does anyway")
      ->group(kGroup);
  app.add_option_function<std::string>(
         "-i,--gpus",
         [](const std::string& gpus) {
           if (gpus != "-1")
             fail("-i ", gpus, ": this command computes on the CPU; say -i -1 or -nogpu");
         },
         "which GPU; -1: none")
      ->group(kGroup);
}

}  // namespace darknet::cli
