// Pages made from the declarations: help, the reference in docs/, the manual, completion; links
// between the pages that people write; and the images that a command line names.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "annotation/formats.h"
#include "cli/documents.h"
#include "cli/help_page.h"
#include "cli/image_arguments.h"
#include "cli_harness.h"
#include "core/activation.h"
#include "core/file.h"
#include "core/json.h"
#include "dataset/result_writer.h"
#include "detect/telemetry.h"
#include "kernels/optimizers.h"
#include "losses/class_loss.h"
#include "losses/losses.h"
#include "nn/layer.h"
#include "paths.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

TEST(Reference, InDocsIsNotStale) {
  std::ifstream in(source_dir() / "docs/cfg-reference.md");
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_TRUE(text.str() == cli::cfg_reference())
      << "docs/cfg-reference.md is stale; renew it: ./darknet reference > docs/cfg-reference.md";
}

TEST(Reference, NamesTheFocalKeys) {
  const std::string page = cli::cfg_reference();
  for (const char* key : {"`obj_loss`", "`obj_gamma`", "`obj_alpha`", "`obj_prior`", "## [region]"})
    EXPECT_NE(page.find(key), std::string::npos) << key;
}

std::vector<fs::path> written_pages() {
  std::vector<fs::path> pages{source_dir() / "README.md"};
  for (const auto& entry : fs::recursive_directory_iterator(source_dir() / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  for (const auto& entry : fs::recursive_directory_iterator(test_data()))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  return pages;
}

std::string text_of(const fs::path& path) { return read_file(path, 1 << 20); }

std::vector<std::string> all_matches(const std::string& text, const std::regex& what) {
  std::vector<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), what), end; i != end; ++i)
    found.push_back((*i)[1]);
  return found;
}

// What a heading is called in a link to it: GitHub's rule.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '_')
      anchor += static_cast<char>(std::tolower(byte));
    else if (c == ' ')
      anchor += '-';
  }
  return anchor;
}

TEST(Pages, LinksLeadToFilesAndHeadings) {
  const std::regex link(R"(\]\(([^)]+)\))"), heading(R"((?:^|\n)#+ ([^\n]+))");
  std::size_t links = 0;
  for (const fs::path& page : written_pages())
    for (const std::string& target : all_matches(text_of(page), link)) {
      if (target.find("://") != target.npos) continue;
      const auto hash = target.find('#');
      const fs::path file = hash == 0 ? page : page.parent_path() / target.substr(0, hash);
      ASSERT_TRUE(fs::exists(file)) << page << ": " << target;
      ++links;
      if (hash == target.npos) continue;
      const auto headings = all_matches(text_of(file), heading);
      EXPECT_TRUE(std::any_of(
          headings.begin(), headings.end(),
          [&](const std::string& h) { return anchor_of(h) == target.substr(hash + 1); }))
          << page << ": " << target;
    }
  EXPECT_GT(links, 20u);
}

TEST(Pages, ThatTheSourcesCiteExist) {
  const std::regex cited(R"((docs/[a-z0-9-]+\.md))");
  std::size_t citations = 0;
  for (const auto& entry : fs::recursive_directory_iterator(source_dir() / "src")) {
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
    for (const std::string& page : all_matches(text_of(entry.path()), cited)) {
      EXPECT_TRUE(fs::exists(source_dir() / page)) << entry.path() << " cites " << page;
      ++citations;
    }
  }
  EXPECT_GT(citations, 5u);
}

// What a file defines is of no use until it stands in its list.
TEST(Lists, HoldWhatTheFilesDefine) {
  std::set<std::string> listed;
  const auto list = [&](const std::vector<std::string>& names) {
    listed.insert(names.begin(), names.end());
  };
  list(layer_types()), list(names_of<LogitLoss>()), list(names_of<ClassLoss>());
  list(names_of<OptimizerRule>()), list(names_of<Activation>());
  for (const ResultFormat& format : result_formats()) listed.insert(format.name);
  for (const AnnotationFormat& format : annotation_formats()) listed.insert(format.name);
  const std::pair<const char*, std::regex> definitions[] = {
      {"layers", std::regex(R"(LayerPtr make_([A-Za-z0-9_]+)\(Section& \w+, const LayerContext&)")},
      {"dataset", std::regex(R"(<ResultWriter> make_([a-z0-9_]+)_results\()")},
      {"annotation", std::regex(R"(AnnotatedSet read_([a-z0-9_]+)\(const)")},
      {"losses", std::regex(R"re(std::string_view name = "([a-z0-9_]+)")re")},
      {"kernels", std::regex(R"re(std::string_view name = "([a-z0-9_]+)")re")},
      {"core", std::regex(R"re(std::string_view (?:name|alias) = "([a-z0-9_]+)")re")}};
  std::size_t found = 0;
  for (const auto& [folder, defined] : definitions)
    for (const auto& entry : fs::directory_iterator(source_dir() / "src" / folder)) {
      if (entry.is_directory()) continue;  // a module that calls a library
      for (const std::string& name : all_matches(text_of(entry.path()), defined)) {
        if (name == "layer") continue;  // the function that makes any of them
        EXPECT_TRUE(listed.contains(name)) << entry.path() << " defines " << name;
        ++found;
      }
    }
  EXPECT_GE(found, listed.size());
}

TEST(Pages, DataExplainsEveryFormatOfAnnotations) {
  const std::string page = text_of(source_dir() / "docs/data.md");
  for (const AnnotationFormat& format : annotation_formats())
    EXPECT_NE(page.find(cat("\n| `", format.name, "` |")), page.npos) << format.name;
}

TEST(Pages, FocalExplainsEveryFigureOfTheLog) {
  const std::string page = text_of(source_dir() / "docs/focal.md");
  const auto begin = page.find("\n| field | meaning |\n|---|---|");
  ASSERT_NE(begin, page.npos);
  const std::string table = page.substr(begin, page.find("\n\n", begin) - begin);
  std::multiset<std::string> explained, logged;
  for (const std::string& fields : all_matches(table, std::regex(R"(\n\|([^|]*)\|)")))
    for (const std::string& key : all_matches(fields, std::regex("`([^`]*)`")))
      explained.insert(key);
  for (const TelemetryFigure& f : kTelemetryFigures)
    if (f.scale != TelemetryScale::unlogged) logged.insert(std::string(f.key));
  EXPECT_EQ(explained, logged);
}

// The rows of a Markdown table under a heading, without its head.
std::vector<std::vector<std::string>> rows_under(const std::string& page,
                                                 const std::string& heading) {
  std::istringstream lines(page.substr(page.find("\n" + heading + "\n") + 1));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ") && line != heading) break;
    if (!line.starts_with("| `")) continue;
    rows.emplace_back();
    for (std::size_t at = 1, end = 0; (end = line.find(" |", at)) != line.npos; at = end + 2)
      if (line[end - 1] != '\\') rows.back().push_back(line.substr(at + 1, end - at - 1));
  }
  return rows;
}

template <class List>
std::string documented_keys(const List& loss) {
  std::string text;
  std::visit(
      [&](auto l) {
        l.fields([&](std::string_view key, float value, const auto&, std::string_view) {
          std::string number = cat(value);
          if (number.starts_with("0.")) number.erase(0, 1);
          text += cat(text.empty() ? "" : ", ", '`', key, "` ", number);
        });
      },
      loss);
  return text.empty() ? "-" : text;
}

TEST(Pages, LossesDescribesEveryLoss) {
  const std::string page = text_of(source_dir() / "docs/losses.md");
  std::vector<std::vector<std::string>> right;
  std::vector<std::string> names, formulas;
  for (const LogitLoss& loss : all_of<LogitLoss>()) {
    const LossTraits traits = traits_of(loss);
    names.push_back(cat('`', name_of(loss), '`'));
    right.push_back({names.back(), documented_keys(loss),
                     traits.for_soft_targets.empty() ? "hard, soft" : "hard",
                     traits.no_automatic_prior.empty() ? "yes" : "no"});
  }
  auto written = rows_under(page, "## Which one");
  for (auto& row : written) {
    ASSERT_EQ(row.size(), 5u) << row[0];
    EXPECT_GT(row.back().size(), 10u) << row[0];
    row.pop_back();
  }
  EXPECT_EQ(written, right);
  for (const auto& row : rows_under(page, "## Formulas")) {
    EXPECT_EQ(row.size(), 4u) << row[0];
    formulas.push_back(row[0]);
  }
  EXPECT_EQ(formulas, names);
  std::vector<std::vector<std::string>> own, own_written;
  for (const ClassLoss& loss : all_of<ClassLoss>())
    if (!value_of<LogitLoss>(name_of(loss)))
      own.push_back({cat('`', name_of(loss), '`'), documented_keys(loss)});
  for (auto& row : rows_under(page, "## Losses of the class scores alone")) {
    EXPECT_EQ(row.size(), 4u) << row[0];
    own_written.push_back({row[0], row[1]});
  }
  EXPECT_EQ(own_written, own);
}

// The words of every command: {"detector", "train"}.
std::vector<std::vector<std::string>> all_commands() {
  std::vector<std::vector<std::string>> commands;
  for (const std::string name : {
#define COMMAND(name) #name,
#include "cli/commands.def"
#undef COMMAND
       }) {
    commands.push_back({name});
    for (const std::string group :
         {"bench", "cfg", "classifier", "data", "detector", "net", "loss", "report", "weights"})
      if (name.starts_with(group + "_")) commands.back() = {group, name.substr(group.size() + 1)};
    if (commands.back().size() == 1) std::ranges::replace(commands.back()[0], '_', '-');
  }
  return commands;
}

TEST(Pages, ReadmeNamesEveryCommand) {
  const std::string readme = text_of(source_dir() / "README.md");
  for (const auto& words : all_commands()) {
    const std::string command = words.size() == 2 ? words[0] + " " + words[1] : words[0];
    const std::regex named("`" + command + "[ `]");
    EXPECT_TRUE(std::regex_search(readme, named)) << command;
  }
}

class Documents : public CliTest {
 protected:
  std::string page(const std::vector<std::string>& words) const {
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran.out;
  }
};

TEST_F(Documents, HelpKnowsCommandsAndSections) {
  EXPECT_EQ(page({"help", "train"}), page({"help", "detector", "train"}));
  EXPECT_NE(page({"help", "train"}).find("Usage: darknet detector train"), std::string::npos);
  EXPECT_NE(page({"help", "detector"}).find("calc_anchors"), std::string::npos);
  EXPECT_EQ(page({"help", "[yolo]"}), page({"help", "yolo"}));
  expect_refused(work_.darknet({"help", "detector", "trian"}), "detector train", 2);
  // Not the first command that ends so, `detector check`.
  EXPECT_NE(page({"help", "check"}).find("Usage: darknet check "), std::string::npos);
}

TEST_F(Documents, ShortFormsHaveTheHelpOfTheirCommand) {
  const auto commands = all_commands();
  std::size_t short_forms = 0;
  // `list` is the first command of the list that ends so, `data` a group.
  std::set<std::string> known{"data"};
  for (const auto& words : commands) {
    const std::vector<std::string> last{words.back()};
    if (words.size() == 1 || std::find(commands.begin(), commands.end(), last) != commands.end() ||
        !known.insert(last[0]).second)
      continue;
    const std::string whole = page({words[0], words[1], "--help"});
    EXPECT_NE(whole.find("Usage: darknet " + words[0] + " " + words[1]), std::string::npos);
    EXPECT_EQ(page({last[0], "--help"}), whole);
    EXPECT_EQ(page({last[0], "x.data", "x.cfg", "-h"}), whole);
    ++short_forms;
  }
  EXPECT_GE(short_forms, 10u);
  EXPECT_EQ(page({"--help"}), page({"help"}));
  expect_refused(work_.darknet({"reacll", "--help"}), "did you mean 'recall'?", 2);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string without_layout(const std::string& text) {
  std::string words;
  std::istringstream in(text);
  for (std::string word; in >> word;) words += word + " ";
  return words;
}

TEST_F(Documents, HelpFitsTheTerminal) {
  auto pages = all_commands();
  for (auto& words : pages) words.emplace_back("--help");
  pages.insert(pages.end(), {{"help"}, {"detector", "--help"}, {"help", "yolo"}, {"help", "net"}});
  for (const auto& words : pages) {
    std::set<std::string> texts;
    for (const std::size_t columns : {80, 100, 120}) {
      ::setenv("COLUMNS", std::to_string(columns).c_str(), 1);
      const std::string text = page(words);
      ::unsetenv("COLUMNS");
      for (const std::string& line : lines_of(text)) EXPECT_LE(line.size(), columns) << line;
      texts.insert(without_layout(text));
    }
    EXPECT_EQ(texts.size(), 1u) << testing::PrintToString(words);
  }
}

TEST_F(Documents, HelpHasTwoColumns) {
  ::setenv("COLUMNS", "80", 1);
  const std::string text = page({"detector", "train", "--help"});
  ::unsetenv("COLUMNS");
  const std::string column(30, ' ');
  for (const std::string& part :
       {std::string("\n  --map                       evaluate on valid= during the run; keeps\n") +
            column + "_best.weights\n",
        "\n  --mAP_epochs FLOAT:FLOAT in [0.001 - 1e+06]=4 Needs: --map\n" + column +
            "epochs between evaluations (at least 100\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << text;
}

// page_width() where standard output is a terminal of so many columns (0: it is none), and COLUMNS
// says `asked`.
int width_on(unsigned short columns, const char* asked) {
  ::winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  int near = -1, far = -1;
  EXPECT_EQ(::openpty(&near, &far, nullptr, nullptr, &size), 0);
  const ::pid_t child = ::fork();
  if (child == 0) {
    if (asked) ::setenv("COLUMNS", asked, 1);
    if (!asked) ::unsetenv("COLUMNS");
    const int out = columns == 0 ? ::open("/dev/null", O_WRONLY) : far;
    ::_exit(::dup2(out, STDOUT_FILENO) < 0 ? 0 : static_cast<int>(cli::page_width()));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  ::close(near), ::close(far);
  return WEXITSTATUS(status);
}

TEST(HelpPage, IsAsWideAsTheTerminal) {
  EXPECT_EQ(width_on(0, nullptr), 100);
  EXPECT_EQ(width_on(93, nullptr), 93);
  EXPECT_EQ(width_on(40, nullptr), 80);
  EXPECT_EQ(width_on(200, nullptr), 120);
  EXPECT_EQ(width_on(93, "110"), 110);
  EXPECT_EQ(width_on(93, "wide"), 93);
  EXPECT_EQ(width_on(0, "7"), 80);
}

TEST_F(Documents, TheManualHasEveryCommand) {
  const std::string manual = page({"manual"});
  for (const char* name : {"darknet detector train", "darknet synth", "darknet bench",
                           "darknet bench data", "darknet chart"})
    EXPECT_NE(manual.find(name), std::string::npos) << name;
  EXPECT_NE(manual.find(".SH EXIT STATUS"), std::string::npos);
}

TEST_F(Documents, CompletionCompletes) {
  work_.put("done.bash", page({"completion"}) + R"(
t() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _darknet; echo "${COMPREPLY[*]}"; }
t darknet det
t darknet detector calc
t darknet detector map -cur
t darknet detector train x.d
t darknet detector train x.data x.c
t darknet bench da
t darknet bench x.c
t darknet bench x.cfg -ref
t darknet bench data x.d
)");
  const std::string command =
      "cd '" + work_.path("").string() + "' && bash done.bash > done.txt 2> done.err";
  if (std::system("command -v bash > /dev/null") != 0) GTEST_SKIP() << "no bash here";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(work_.get("done.txt"),
            "detect detector\ncalc_anchors\n-curves\nx.data\nx.cfg\n"
            "data\nx.cfg\n-reference\nx.data\n");
}

TEST_F(Documents, VersionSaysWhatItIsMadeOf) {
  const std::string text = page({"version"});
  for (const char* part : {"oneDNN", "compiler", ", for ", "images:", "CUDA:"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

class Images : public CliTest {
 protected:
  Images() { put_tiny_weights(work_, "x.weights"); }
};

TEST_F(Images, ComeFromFoldersPatternsAndLists) {
  work_.put("images/sub/0.png", Image(64, 64, 3));
  const auto count = [&](std::vector<std::string> words, std::size_t wanted, int exit_code = 0) {
    words.insert(words.begin(), {"detector", "test", "x.data", "x.cfg", "x.weights"});
    words.insert(words.end(), {"-dont_show", "-out", "o.json"});
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, exit_code) << ran.all();
    EXPECT_EQ(parse_json(work_.get("o.json")).size(), wanted) << ran.all();
  };
  count({"images"}, 8);
  count({"images", "-recursive"}, 9);
  EXPECT_TRUE(work_.has("predictions/0-2.jpg"));
  count({"images/[0-2].png"}, 3);
  count({"images/1.png"}, 1);
  work_.put("images/3.png", std::string("no image"));
  count({"images"}, 7, 1);  // the others are done all the same
}

TEST_F(Images, NoneAreAnError) {
  std::filesystem::create_directories(work_.path("none"));
  for (const char* what : {"none", "none/*.jpg"})
    EXPECT_EQ(work_.darknet({"detector", "test", "x.data", "x.cfg", "x.weights", what}).exit_code,
              1);
}

TEST_F(Images, OtherFormatsAreWritten) {
  const auto write = [&](const char* format, const char* out) {
    const CommandResult ran =
        work_.darknet({"detector", "test", "x.data", "x.cfg", "x.weights", "images", "-dont_show",
                       "-thresh", "0", "-format", format, "-out", out});
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
  };
  write("coco", "c.json");
  EXPECT_TRUE(parse_json(work_.get("c.json")).is_array());
  write("voc", "v");
  EXPECT_EQ(work_.tree("v").size(), 3u);
  write("yolo", "y");
  EXPECT_EQ(work_.tree("y").size(), 9u);  // and the record of what was written
}

}  // namespace
}  // namespace darknet::test
