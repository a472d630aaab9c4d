// Declarations of commands, over CLI11.
#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "cli/documents.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/number.h"
#include "core/ranks.h"
#include "core/text.h"
#include "train/equal_inputs.h"

namespace darknet::cli {
namespace {

// Names as CLI11 takes them: "-camera,-c" is "--camera,-c"; a name without a dash stays.
std::string long_names(std::string_view names) {
  std::string out;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    out += cat(out.empty() ? "" : ",", name.starts_with('-') && name.size() > 2 ? "-" : "", name);
  }
  return out;
}

// "darknet detector train"
std::string words_of(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return (parent ? words_of(*parent) + ' ' : "") + app.get_name();
}

std::string typed_name(const CLI::Option& o) {
  if (!o.nonpositional()) return o.get_name(true);
  return "-" + (o.get_lnames().empty() ? o.get_snames() : o.get_lnames()).front();
}

template <class T>
CLI::Option* declare(CLI::App& app, const std::string& names, std::reference_wrapper<T> to,
                     const std::string& help) {
  return app.add_option(names, to.get(), help);
}

CLI::Option* declare(CLI::App& app, const std::string& names,
                     std::reference_wrapper<std::vector<std::string>> to, const std::string& help) {
  CLI::Option* const option = app.add_option(names, to.get(), help);
  return names.starts_with('-') ? option->allow_extra_args(false) : option;
}

template <class T>
CLI::Option* declare(CLI::App& app, const std::string& names, const std::function<void(T)>& take,
                     const std::string& help) {
  return app.add_option_function<std::decay_t<T>>(names, take, help);
}

Option declared(CLI::App& app, std::string_view names, const Value& value, std::string_view help) {
  return Option(*std::visit(
      [&](const auto& to) { return declare(app, long_names(names), to, std::string(help)); },
      value));
}

// A file called "" would be another place than any that was meant.
Option refuse_empty(const Option& text) {
  return text.check([](const std::string& value) {
    return value.empty() ? "it is empty; give a value, or leave it out" : "";
  });
}

// So would "-", also as a folder or as the beginning of a name.
Option refuse_no_name(const Option& named) {
  return refuse_empty(named).check([](const std::string& name) {
    return name == "-" ? "'-' does not mean the standard input or output here; give a name "
                         "(./- for one that is '-')"
                       : "";
  });
}

bool takes_text(const Value& value) {
  return std::holds_alternative<std::reference_wrapper<std::string>>(value) ||
         std::holds_alternative<std::reference_wrapper<std::filesystem::path>>(value);
}

OptionDoc document(const CLI::Option& o, const CLI::Formatter& formatter) {
  OptionDoc doc{
      .name = typed_name(o),
      .title = formatter.make_option_name(&o, !o.nonpositional()) + formatter.make_option_opts(&o),
      .value = o.get_type_size() == 0 ? "" : o.get_type_name(),
      .help = o.get_description(),
      .group = o.get_group()};
  doc.argument = !o.nonpositional(), doc.required = o.get_required();
  doc.many = o.get_items_expected_max() > 1;
  return doc;
}

CommandDoc document(const CLI::App& app, std::vector<std::string> words) {
  const CLI::Formatter formatter;
  CommandDoc doc{.words = std::move(words),
                 .help = app.get_description(),
                 .footer = app.get_footer(),
                 .options = {},
                 .commands = {},
                 .runs = app.get_require_subcommand_min() == 0};
  for (const CLI::Option* o : app.get_options())
    if (!o->get_group().empty()) doc.options.push_back(document(*o, formatter));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::vector<std::string> inner = doc.words;
    inner.push_back(sub->get_name());
    doc.commands.push_back(document(*sub, std::move(inner)));
  }
  return doc;
}

}  // namespace

void let_rank_0_report() {
  const Launch launch = launch_of_environment();
  if (launch.rank == 0) return;
  // mpirun waits as long before it ends the others with SIGTERM.
  const double seconds =
      std::isfinite(launch.kill_timeout) ? std::min(launch.kill_timeout, 20.) + 3 : 2;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::integer_in(std::int64_t low, std::int64_t high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

// CLI11's own checks name their limit with 300 digits.
Option Option::integer_from(std::int64_t low) const {
  option_->check(CLI::Validator(
      [low](const std::string& text) {
        std::int64_t value = 0;
        return read_number(text, value) && value >= low
                   ? std::string()
                   : cat("'", shown(text), "' is not an integer from ", low, " on");
      },
      cat("from ", low, " on")));
  return *this;
}

Option Option::number_in(double low, double high) const {
  option_->check(CLI::Validator(
      [low, high](const std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value);
        return number && value >= low && value <= high
                   ? std::string()
                   : cat("'", text, "' is not a number from ", low, " to ", high);
      },
      cat("FLOAT in [", low, " - ", high, "]")));
  return *this;
}

Option Option::one_of(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values));
  return *this;
}

Option Option::existing_file() const {
  option_->check(CLI::ExistingFile);
  return *this;
}

Option Option::check(std::function<std::string(const std::string&)> wrong) const {
  option_->check(CLI::Validator(std::move(wrong), ""));
  return *this;
}

Option Option::needs(const Option& other) const {
  option_->needs(other.option_);
  return *this;
}

Option Option::excludes(const Option& other) const {
  option_->excludes(other.option_);
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

Option Option::input(const char* what) const {
  option_->each([what](const std::string& file) { run_inputs().add(what, file); });
  return refuse_no_name(*this);
}

Option Option::value_name(const char* name) const {
  option_->type_name(name);
  return *this;
}

Option Option::show_default() const {
  option_->capture_default_str();
  return *this;
}

Option Option::hidden() const {
  option_->group("");
  return *this;
}

Option Option::for_compatibility() const {
  option_->group("Accepted from the Darknet forks");
  return *this;
}

Option Command::argument(std::string_view name, const Value& value, std::string_view help) const {
  return refuse_no_name(declared(*app_, name, value, help));
}

Option Command::option(std::string_view names, const Value& value, std::string_view help) const {
  const Option made = declared(*app_, names, value, help);
  return takes_text(value) ? refuse_no_name(made) : made;
}

Option Command::text_option(std::string_view names, std::string& text,
                            std::string_view help) const {
  return refuse_empty(declared(*app_, names, std::ref(text), help));
}

Option Command::flag(std::string_view names, bool& given, std::string_view help) const {
  return Option(*app_->add_flag(long_names(names), given, std::string(help)));
}

Option Command::flag(std::string_view names, std::function<void()> when_given,
                     std::string_view help) const {
  return Option(
      *app_->add_flag_callback(long_names(names), std::move(when_given), std::string(help)));
}

bool Command::has(std::string_view name) const {
  return app_->get_option_no_throw(long_names(name)) != nullptr;
}

Option Command::at(std::string_view name) const {
  return Option(*app_->get_option(long_names(name)));
}

std::vector<Option> Command::declared_by(const std::function<void()>& declare) const {
  const std::size_t before = app_->get_options().size();
  declare();
  std::vector<Option> added;
  for (CLI::Option* o : app_->get_options()) added.emplace_back(*o);
  added.erase(added.begin(), added.begin() + static_cast<std::ptrdiff_t>(before));
  return added;
}

void Command::footer(const std::string& text) const { app_->footer(text); }

void Command::when_parsed(std::function<void()> complete) const {
  app_->parse_complete_callback(std::move(complete));
}

void Command::runs(Run run) const {
  set_run([run = std::move(run)] {
    const Launch launch = launch_of_environment();
    if (launch.count > 1)
      throw Error(
          cat(launch.launcher, " started ", launch.count,
              " processes, and this command runs as one process; start it without the launcher. "
              "detector train, map, valid, recall, calibrate and classifier train, valid share "
              "their work (docs/scaling.md)"));
    return run();
  });
}

void Command::runs_in_ranks(Run run) const {
  set_run([app = app_, run = std::move(run)] {
    Ranks& ranks = launched_ranks();  // from here on this process logs as its rank
    const std::vector<RankInput> inputs{
        {"the command", words_of(*app), "start every rank with the same command"}};
    require_equal(ranks, inputs);
    return run();
  });
}

void Command::set_run(Run run) const {
  // The command of a word behind this one comes first, and counts.
  app_->final_callback([to = program_, app = app_, run = std::move(run)] {
    if (app->get_subcommands().empty()) to->run_ = run;
  });
}

void Command::keep(std::shared_ptr<void> options) const {
  program_->kept_.push_back(std::move(options));
}

Command Program::command(std::string_view words, std::string_view help) {
  CLI::App* at = app_;
  while (!words.empty()) {
    const std::string word(words.substr(0, words.find(' ')));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    const auto known =
        at->get_subcommands([&](const CLI::App* a) { return a->get_name() == word; });
    CLI::App* const next = known.empty() ? at->add_subcommand(word, "") : known.front();
    if (known.empty()) next->require_subcommand(words.empty() ? 0 : 1);
    at = next;
  }
  at->description(std::string(help));
  return {*this, *at};
}

CommandDoc Program::document() const { return cli::document(*app_, {}); }

}  // namespace darknet::cli
