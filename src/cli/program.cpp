#include <algorithm>
#include <cstdio>
#include <regex>
#include <utility>

#include "cfg/parse.h"
#include "cli/command.h"
#include "cli/program.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/number.h"
#include "core/tensor.h"
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

// CLI11's sentences as the other messages are.
std::string in_plain_words(std::string text) {
  static const std::vector<std::pair<std::regex, std::string>> kRewrites{
      {std::regex("^(--?\\S+): At Most 1 required but received (\\d+)$"), "$1 is given $2 times"},
      {std::regex("^(--?\\S+): 1 required (\\S+) missing$"), "$1 needs a value ($2)"},
      {std::regex("^(--?\\S+): (.*) not in \\{(.*)\\}$"), "$1: '$2' is none of $3"},
      {std::regex("^(--?\\S+): Value (\\S+) not in range (\\S+) to (\\S+)$"),
       "$1: $2 is not from $3 to $4"}};
  for (const auto& [pattern, plain] : kRewrites) text = std::regex_replace(text, pattern, plain);
  return text.starts_with("--") ? text.substr(1) : text;
}

int print_usage_error(const CLI::App& program, const CLI::ParseError& e) {
  const auto path = named(program);
  std::string words;
  for (const CLI::App* a : path) words += (words.empty() ? "" : " ") + a->get_name();
  const std::vector<std::string> left = program.remaining(true);
  const std::string text =
      left.empty() ? in_plain_words(e.what()) : surplus(*path.back(), left.front());
  std::fprintf(stderr, "%s: %s\nsee: %s --help\n", words.c_str(), printable(text, "\n").c_str(),
               words.c_str());
  return kUsageError;
}

// What `darknet --help` says of a group of commands.
void describe_groups(CLI::App& program) {
  for (CLI::App* group : program.get_subcommands([](const CLI::App*) { return true; })) {
    std::string names;
    for (const CLI::App* sub : subcommands(*group))
      names += (names.empty() ? "" : ", ") + sub->get_name();
    if (!names.empty())
      group->description(names + "; see darknet " + group->get_name() + " --help");
  }
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
  bool names = false;  // behind "--" nothing is a flag
  for (const std::string& a : arguments) {
    out.push_back(names ? a : normalised(a));
    names |= a == "--";
  }
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
  describe_groups(program);
  refuse_flags_as_values(program);
  std::vector<std::string> arguments = normalise({argv + std::min(argc, 1), argv + argc});
  if (arguments.size() == 1 && arguments[0] == "--version") arguments = {"version"};
  put_commands_first(program, arguments);
  join_flag_values(program, arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  try {
    program.parse(std::move(arguments));
  } catch (const CLI::CallForHelp& e) {
    return program.exit(e);
  } catch (const CLI::ParseError& e) {
    return print_usage_error(program, e);
  }
  const RunOutputs outputs;
  const WarningsOfImages at_the_end;
  const AdaptiveWaiting waiting;
  return run();
}

void add_overrides(CLI::App& app, std::vector<std::string>& overrides) {
  app.add_option("--set", overrides,
                 "override a cfg key: type.index.key=value, e.g. yolo.0.obj_gamma=1.5; may be "
                 "repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void add_seed(CLI::App& app, const std::string& help, std::function<void(std::uint64_t)> take) {
  const auto number = [take = std::move(take)](const std::string& text) {
    std::uint64_t seed = 0;
    read_number(text, seed);
    take(seed);
  };
  const CLI::Validator fits(
      [](const std::string& text) {
        std::uint64_t seed = 0;
        return read_number(text, seed)
                   ? std::string()
                   : cat("'", shown(text), "': expected an integer from 0 to 2^64 - 1");
      },
      "");
  app.add_option_function<std::string>("--seed", number, help)->check(fits)->type_name("N");
}

void add_threads(CLI::App& app, int& threads, const std::string& help) {
  app.add_option("--threads", threads, help)->check(CLI::Range(1, 1024))->type_name("N");
}

void add_arithmetic(CLI::App& app, bool& exact, std::vector<std::string>& overrides,
                    std::filesystem::path& tuning) {
  app.add_flag("--exact", exact, "direct convolutions only: slower, closest to plain arithmetic");
  app.add_option_function<std::string>(
         "--precision",
         [&overrides](const std::string& type) { overrides.push_back("net.0.precision=" + type); },
         "element type of activations: f32, bf16 (half the memory, about twice as fast where the "
         "processor or the GPU has it) or f16 (GPUs); the cfg's [net] precision=")
      ->check(CLI::IsMember(names_of<DType>()))
      ->type_name("TYPE");
  as_input(app.add_option("--tuning", tuning,
                          "take the convolutions' algorithms from this file of darknet bench "
                          "-tune"),
           "the tuning file")
      ->type_name("FILE");
}

void add_run_length(CLI::App& app, RunLength& length, CLI::Option* other) {
  CLI::Option* const epochs =
      app.add_option(
             "--epochs", length.epochs,
             "length of the run in passes over the training images; burn_in and steps scale "
             "along")
          ->check(between(1e-3, 1e9));
  CLI::Option* const hours =
      app.add_option(
             "--hours", length.hours,
             "length of the run in hours on this machine, from a few iterations measured at "
             "its start; burn_in and steps scale along")
          ->check(between(1e-4, 1e6));
  hours->excludes(epochs);
  if (other) epochs->excludes(other), hours->excludes(other);
}

CLI::Validator between(double low, double high) {
  return {[low, high](const std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            return number && value >= low && value <= high
                       ? std::string()
                       : cat("'", text, "' is not a number from ", low, " to ", high);
          },
          cat("FLOAT in [", low, " - ", high, "]")};
}

CLI::Validator whole_from(std::int64_t low) {
  return {[low](const std::string& text) {
            std::int64_t value = 0;
            return read_number(text, value) && value >= low
                       ? std::string()
                       : cat("'", shown(text), "' is not an integer from ", low, " on");
          },
          cat("from ", low, " on")};
}

}  // namespace darknet::cli
