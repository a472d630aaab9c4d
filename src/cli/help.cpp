// darknet help [section]
#include <fmt/core.h>

#include <memory>

#include "cli/command.h"
#include "nn/layer.h"
#include "nn/net_settings.h"

namespace darknet::cli {
namespace {

void print(const std::string& title, const KeyDocs& docs) {
  fmt::print("[{}]\n", title);
  for (const KeyDoc& d : docs.docs())
    fmt::print("  {:<20} {:<12} {:<24} {}\n", d.key, d.fallback.empty() ? "-" : d.fallback,
               d.allowed, d.help);
}

KeyDocs docs_of(const std::string& section) {
  if (section != "net" && section != "network") return layer_keys(section);
  KeyDocs docs;
  docs.add(NetSettings{});
  return docs;
}

int help(const CLI::App& program, const std::string& section) {
  if (!section.empty()) {
    fmt::print("  {:<20} {:<12} {:<24} {}\n", "key", "default", "values", "meaning");
    print(section, docs_of(section));
    if (section != "net" && section != "network") {
      KeyDocs common;
      common.add(CommonKeys{});
      print("every section", common);
    }
    return 0;
  }
  // not program.help(), which is that of the command being run: of this one
  fmt::print(
      "{}\nSections of a .cfg (darknet help SECTION lists their keys):\n  net",
      program.get_formatter()->make_help(&program, program.get_name(), CLI::AppFormatMode::Normal));
  for (const std::string& type : layer_types()) fmt::print(" {}", type);
  fmt::print("\n");
  return 0;
}

}  // namespace

void add_help(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"help"}, "the commands, or every key of a cfg section");
  const auto section = std::make_shared<std::string>();  // outlives this call, in CLI11's callbacks
  app.add_option("section", *section, "e.g. yolo");
  app.final_callback(
      [section, &program, &run] { run = [section, &program] { return help(program, *section); }; });
}

}  // namespace darknet::cli
