#include "cli/documents.h"

#include <fmt/format.h>

#include <set>

#include "cfg/legacy_keys.h"
#include "core/text.h"
#include "nn/classifier_keys.h"
#include "nn/head_types.h"
#include "nn/layer.h"
#include "nn/net_settings.h"

namespace darknet::cli {
namespace {

std::vector<const OptionDoc*> flags_of(const CommandDoc& command) {
  std::vector<const OptionDoc*> flags;
  for (const OptionDoc& o : command.options)
    if (!o.argument && o.name != "-help") flags.push_back(&o);
  return flags;
}

std::vector<const OptionDoc*> arguments_of(const CommandDoc& command) {
  std::vector<const OptionDoc*> arguments;
  for (const OptionDoc& o : command.options)
    if (o.argument) arguments.push_back(&o);
  return arguments;
}

// ---- Markdown

std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

std::string key_rows(const KeyDocs& docs) {
  std::string text = "| key | default | values | meaning |\n|---|---|---|---|\n";
  for (const KeyDoc& d : docs.docs())
    text += fmt::format("| `{}` | {} | {} | {} |\n", d.key,
                        d.fallback.empty() ? "-" : "`" + cell(d.fallback) + "`", cell(d.allowed),
                        cell(d.help));
  return text;
}

std::string what_happens(const LegacyKey& k) {
  std::string why = cell(std::string(k.why));
  if (k.kind == LegacyKey::Kind::unsupported) return "an error unless 0: " + why;
  if (k.kind == LegacyKey::Kind::untrainable) return "in training an error unless 0: " + why;
  return why;
}

std::string legacy_rows() {
  std::string text = "| section | key | what happens |\n|---|---|---|\n";
  for (const LegacyKey& k : legacy_keys())
    text += fmt::format("| {} | `{}` | {} |\n",
                        k.section == "*" ? "every" : fmt::format("`[{}]`", k.section), k.key,
                        what_happens(k));
  return text;
}

// ---- roff

std::string roff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((i == 0 || text[i - 1] == '\n') && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  }
  return out;
}

std::string synopsis(const CommandDoc& c) {
  std::string text = "darknet " + c.name();
  for (const OptionDoc* o : arguments_of(c)) text += " " + o->usage();
  return text + " [flags]";
}

std::string command_page(const CommandDoc& c) {
  std::string page = fmt::format(".SS \"{}\"\n{}.\n", roff(synopsis(c)), roff(c.help));
  for (const OptionDoc* o : arguments_of(c))
    page += fmt::format(".TP\n.I {}\n{}\n", roff(o->name), roff(o->help));
  for (const OptionDoc* o : flags_of(c))
    page += fmt::format(".TP\n.B {}{}\n{}\n", roff(o->name),
                        o->value.empty() ? "" : " \\fI" + roff(o->value) + "\\fR", roff(o->help));
  if (!c.footer.empty()) page += ".PP\n" + roff(c.footer) + "\n";
  return page;
}

// ---- bash

// What kind of file a word is, by its name: .data, .cfg, .weights or any.
std::string file_kind(const std::string& word) {
  for (const char* kind : {"data", "cfg", "weights"})
    if (word == kind) return word;
  return "";
}

std::string completion_case(const CommandDoc& c) {
  std::string flags, kinds;
  for (const OptionDoc* o : flags_of(c)) flags += o->name + " ";
  for (const OptionDoc* o : arguments_of(c)) {
    const std::string kind = file_kind(o->name);
    kinds += (kind.empty() ? "any" : kind) + " ";
  }
  return fmt::format("    '{}') flags='{}' kinds='{}' ;;\n", c.name(), flags, kinds);
}

void collect(const CommandDoc& at, std::vector<CommandDoc>& to) {
  for (const CommandDoc& c : at.commands) {
    if (c.runs) to.push_back(c);
    collect(c, to);
  }
}

}  // namespace

std::string OptionDoc::usage() const {
  const std::string word = name + (many ? "..." : "");
  return required ? word : "[" + word + "]";
}

std::string CommandDoc::name() const { return joined(words); }

std::vector<CommandDoc> commands_of(const CommandDoc& program) {
  std::vector<CommandDoc> all;
  collect(program, all);
  return all;
}

std::vector<std::string> cfg_sections() {
  std::vector<std::string> all{"net"};
  for (const std::string& type : layer_types()) all.push_back(type);
  return all;
}

KeyDocs keys_of(const std::string& section) {
  if (section != "net" && section != "network") return layer_keys(section);
  KeyDocs docs;
  docs.add(NetSettings{});
  docs.add(ClassifierKeys{});
  return docs;
}

std::string cfg_reference() {
  std::string page =
      "# Keys of a .cfg\n\n"
      "Made by `darknet reference` from the declarations that the program reads; do not edit. One "
      "section is shown by `darknet help SECTION`.\n\n"
      "A file is a list of `[section]`s with `key=value` lines; the first is `[net]`, each other "
      "one "
      "a layer. Comments begin with `#` or `;`. A key that no section knows is an error with its "
      "line, as is a value out of its range (of a key that only training needs: in training; else "
      "a "
      "warning); of a key given twice the first counts. `-set "
      "yolo.0.obj_gamma=1.5` sets a key for one run: the section's type, its number among those of "
      "its type (or `*`), the key. Ranges are inclusive; `-` as a default: none. What the `obj_` "
      "keys do to training is in [focal.md](focal.md).\n\n";
  KeyDocs common;
  common.add(CommonKeys{});
  for (const std::string& section : cfg_sections()) {
    const KeyDocs docs = keys_of(section);
    page += fmt::format("## [{}]\n\n", section);
    page += docs.docs().empty() ? "No keys of its own.\n\n" : key_rows(docs) + "\n";
  }
  page += "## Every layer\n\n" + key_rows(common) + "\n";
  page +=
      "A frozen layer keeps its parameters and rolling statistics to the bit: no update, no weight "
      "decay, no drift of averaged weights, and its batch normalisation works as at test time. So "
      "does a layer that no gradient reaches, as below `onlyforward=1`. Freeze layers whose "
      "weights "
      "are loaded: a warning is printed where they are not.\n\n";
  page +=
      "## Keys of other Darknet forks\n\nAccepted, so that their files load. Darknet's default "
      "says "
      "nothing; another value gives one warning or, where ignoring it would change the result, an "
      "error.\n\n" +
      legacy_rows();
  return page;
}

std::string manual_page(const CommandDoc& program) {
  std::string page = fmt::format(
      ".TH DARKNET 1 \"\" \"Darknet Focal {}\" \"User Commands\"\n.SH NAME\ndarknet \\- {}\n.SH "
      "SYNOPSIS\n.B darknet\n.I command\n[\\fIwords\\fR] [\\fIflags\\fR]\n.SH DESCRIPTION\n{}\n.SH "
      "COMMANDS\n",
      DARKNET_VERSION, "train and run object detectors described by .cfg files",
      roff(
          cat("The objectness of ", head_names("and"),
              " layers can be trained with focal loss, chosen in the .cfg (obj_loss=focal). "
              "Weights are those of the other Darknet forks. Flags may be given anywhere after the "
              "command and begin with one dash or two.")));
  for (const CommandDoc& c : commands_of(program)) page += command_page(c);
  page +=
      ".SH EXIT STATUS\n.TP\n.B 0\nall went well\n"
      ".TP\n.B 1\nsomething read was wrong, or could not be read or written\n"
      ".TP\n.B 2\nthe command line was wrong\n"
      ".TP\n.B 129, 130, 143\n"
      "interrupted (SIGHUP, Ctrl-C, SIGTERM); a training has saved its state\n"
      ".SH FILES\n.TP\n.I NAME_last.weights, NAME_last.state\nwhere a training resumes\n"
      ".TP\n.I NAME_best.weights, NAME_final.weights\n"
      "of the best evaluation, and of the end\n"
      ".TP\n.I NAME_log.jsonl, NAME_chart.svg, NAME_chart.png\n"
      "the log of a training run, iteration by iteration\n"
      ".TP\n.I NAME.calibration.json\n"
      "confidences fitted by detector calibrate, for -calibrate\n"
      ".SH ENVIRONMENT\n.TP\n.B OMP_NUM_THREADS\nhow many cores compute\n"
      ".TP\n.B OMP_WAIT_POLICY, GOMP_SPINCOUNT\n" +
      roff(
          "how threads wait for each other; without them they spin while other programs leave the "
          "cores alone, else they sleep") +
      "\n";
  return page;
}

std::string bash_completion(const CommandDoc& program) {
  std::string cases;
  std::set<std::string> first;
  std::string groups;
  for (const CommandDoc& c : commands_of(program)) {
    cases += completion_case(c);
    first.insert(c.words.front());
  }
  for (const std::string& word : first) {
    std::string inner, alone;
    for (const CommandDoc& c : commands_of(program))
      if (c.words.front() == word) (c.words.size() > 1 ? inner : alone) += c.words.back() + " ";
    if (!inner.empty())
      groups += fmt::format("    {}) inner='{}' alone='{}' ;;\n", word, inner, alone);
  }
  std::string words;
  for (const std::string& word : first) words += word + " ";
  return "# bash completion of darknet; made by `darknet completion`\n_darknet() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} at=2 inner='' "
         "flags='' kinds='' alone=''\n"
         "  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W '" +
         words + "' -- \"$current\"))\n    return\n  fi\n  case $command in\n" + groups +
         "  esac\n  if [ -n \"$inner\" ]; then\n    if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
         "      COMPREPLY=($(compgen -W \"$inner\" -- \"$current\"))\n"
         "      [ -n \"$alone\" ] && [ -z \"$COMPREPLY\" ] || return\n"
         "    fi\n"
         "    case \" $inner\" in *\" ${COMP_WORDS[2]} \"*) command=\"$command ${COMP_WORDS[2]}\" "
         "at=3 ;; esac\n"
         "  fi\n  case $command in\n" +
         cases +
         "  esac\n  case $current in -*)\n    COMPREPLY=($(compgen -W \"$flags\" -- "
         "\"$current\"))\n"
         "    return\n  esac\n"
         "  local i place=0 kind\n"
         "  for ((i = at; i < COMP_CWORD; i++)); do\n"
         "    case ${COMP_WORDS[i]} in -*) ;; *) place=$((place + 1)) ;; esac\n  done\n"
         "  kinds=($kinds)\n  kind=${kinds[place]}\n  local IFS=$'\\n'\n"
         "  case $kind in\n"
         "    data | cfg | weights)\n"
         "      COMPREPLY=($(compgen -f -X \"!*.$kind\" -- \"$current\") $(compgen -d -- "
         "\"$current\")) ;;\n"
         "    *) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n  esac\n}\n"
         "complete -o filenames -F _darknet darknet ./darknet\n";
}

}  // namespace darknet::cli
