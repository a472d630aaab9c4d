// What a command is declared with: its arguments, options and flags, and what it runs. Each command
// lies in a file of its own; commands.def is the list:
//
//   void add_partial(Program& program) {
//     const Command command = program.command("partial", "cut a backbone out of a weights file");
//     auto& o = command.options<Options>();
//     cfg_argument(command, o.cfg).required();  // cli/common_flags.h: what several commands have
//     command.option("-layers", o.layers, "how many").integer_in(1, 999).show_default();
//     command.runs([&o] { return partial(o); });
//   }
//
// Behind this is CLI11, which only command.cpp and program.cpp include: it takes seconds to
// compile.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace darknet::cli {

struct CommandDoc;

// What a command does; its result is the exit code.
using Run = std::function<int()>;

// Where a value goes: a variable, which holds the default; a list, which takes every word of an
// argument, or one value each time that an option is given; or a function that gets the value.
using Value =
    std::variant<std::reference_wrapper<int>, std::reference_wrapper<std::int64_t>,
                 std::reference_wrapper<float>, std::reference_wrapper<double>,
                 std::reference_wrapper<std::string>, std::reference_wrapper<std::filesystem::path>,
                 std::reference_wrapper<std::optional<std::int64_t>>,
                 std::reference_wrapper<std::vector<std::string>>,
                 std::function<void(const std::string&)>, std::function<void(double)>>;

// A declared argument, option or flag. Each function adds to the declaration and returns it; a
// value that breaks one of the rules is a usage error.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  Option required() const;
  Option integer_in(std::int64_t low, std::int64_t high) const;  // both included
  Option integer_from(std::int64_t low) const;
  Option number_in(double low, double high) const;  // both included; nan is refused
  Option one_of(const std::vector<std::string>&) const;
  Option existing_file() const;
  // `wrong` returns what is wrong with a value, "" for nothing.
  Option check(std::function<std::string(const std::string&)> wrong) const;
  Option needs(const Option& other) const;
  Option excludes(const Option& other) const;
  bool given() const;  // on the command line, once that was parsed

  // It names input files, which no output of the command may replace. `what`: "the cfg", for
  // messages.
  Option input(const char* what) const;

  Option value_name(const char* name) const;  // for the help, instead of INT, FLOAT or TEXT
  Option show_default() const;                // in the help
  Option hidden() const;                      // from help, manual and completion
  Option for_compatibility() const;           // listed apart: other Darknet forks have it

 private:
  CLI::Option* option_;
};

// Call before an error is printed. Of an error that all processes of a launcher have alike, rank 0
// prints the message, and as the launcher ends all processes with the first that fails, the others
// do not: they wait here for some seconds. A rank that fails alone goes on and prints its own, and
// so do all under a launcher that does not end the others (srun without --kill-on-bad-exit).
void let_rank_0_report();

class Program;

// A command that is being declared. Names of options and flags are given as people type them,
// "-dont_show"; "-camera,-c" are two names of one option.
class Command {
 public:
  Command(Program& program, CLI::App& app) : program_(&program), app_(&app) {}

  // What the declarations below fill in: a T that lives as long as the program.
  template <class T>
  T& options() const {
    const auto made = std::make_shared<T>();
    keep(made);
    return *made;
  }

  Option argument(std::string_view name, const Value&, std::string_view help) const;
  Option option(std::string_view names, const Value&, std::string_view help) const;
  // The same, where the value is no name of a file: "-" may be one.
  Option text_option(std::string_view names, std::string& text, std::string_view help) const;
  Option flag(std::string_view names, bool& given, std::string_view help) const;
  Option flag(std::string_view names, std::function<void()> when_given,
              std::string_view help) const;
  bool has(std::string_view name) const;
  Option at(std::string_view name) const;  // one that was declared
  // The options and flags that `declare` declares.
  std::vector<Option> declared_by(const std::function<void()>& declare) const;

  void footer(const std::string& text) const;              // closes the help
  void when_parsed(std::function<void()> complete) const;  // before the command runs
  void runs(Run) const;
  // The same for a command that may run in the processes that mpirun or srun started together,
  // which share its work (core/ranks.h). A command declared by runs() refuses to run in several
  // processes.
  void runs_in_ranks(Run) const;

 private:
  void keep(std::shared_ptr<void>) const;
  void set_run(Run) const;

  Program* program_;
  CLI::App* app_;
};

// All commands.
class Program {
 public:
  explicit Program(CLI::App& app) : app_(&app) {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // "detector train": its groups are made when missing.
  Command command(std::string_view words, std::string_view help);
  CommandDoc document() const;  // cli/documents.h
  int run() const { return run_(); }

 private:
  friend class Command;

  CLI::App* app_;
  Run run_;                                  // of the command that the command line named
  std::vector<std::shared_ptr<void>> kept_;  // options of the commands
};

#define COMMAND(name) void add_##name(Program&);
#include "cli/commands.def"
#undef COMMAND

}  // namespace darknet::cli
