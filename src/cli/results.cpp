#include "cli/results.h"

#include <cstdint>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/result_writer.h"

namespace darknet::cli {

CLI::Option* add_format(CLI::App& app, std::string& format, const std::string& remark) {
  std::vector<std::string> names;
  std::string help;
  for (const ResultFormat& f : result_formats()) {
    names.emplace_back(f.name);
    help += cat(help.empty() ? "" : "; ", f.name, ": ", f.help);
  }
  return app.add_option("--format", format, help + remark)->check(CLI::IsMember(names));
}

void report_interrupted(std::size_t images, std::optional<std::size_t> all,
                        const std::string& files) {
  log::info(cat("interrupted after ", plural(static_cast<std::int64_t>(images), "image"),
                all ? cat(" of ", *all) : "",
                files.empty() ? "" : cat("; what was found in them is in ", files)));
}

}  // namespace darknet::cli
