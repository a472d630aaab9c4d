// darknet report serve folder
#include <chrono>
#include <thread>

#include "cli/common_flags.h"
#include "core/error.h"
#include "core/log.h"
#include "train/interrupt.h"
#include "web/folder_server.h"

namespace darknet::cli {
namespace {

struct ReportServeArguments {
  std::filesystem::path folder;
  HttpAddress http{.port = 8090};
};

int serve(const ReportServeArguments& o) {
  constexpr std::chrono::milliseconds kGlance(100);
  const InterruptGuard interrupt("the answers");
  const FolderServer server(o.folder, o.http);
  log::info(cat("-> ", url_of(o.http.bind, server.port()), " until Ctrl-C"));
  while (!interrupt.requested()) std::this_thread::sleep_for(kGlance);
  return interrupt.exit_code();
}

}  // namespace

void add_report_serve(Program& program) {
  const Command command =
      program.command("report serve", "serve the page of a comparison or sweep over HTTP");
  command.footer(
      "FOLDER is what `detector compare` or `detector sweep` left or still fills: its page loads "
      "itself again after each run. A folder of such folders works too. Only files of the folder "
      "are served, no links, and nothing whose name begins with a dot.");
  auto& o = command.options<ReportServeArguments>();
  command.argument("folder", o.folder, "the folder to serve").required();
  command.option("-http_port", o.http.port, "port to serve; 0: any free port")
      .integer_in(0, kMaxPort)
      .show_default();
  add_bind(command, o.http.bind);
  command.runs([&o] { return serve(o); });
}

}  // namespace darknet::cli
