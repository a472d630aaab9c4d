#include "core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace darknet::log {
namespace {

std::shared_ptr<spdlog::logger> make(const char* name, bool to_stderr, const char* pattern) {
  auto logger = to_stderr ? spdlog::stderr_color_mt(name) : spdlog::stdout_color_mt(name);
  logger->set_pattern(pattern);
  logger->flush_on(spdlog::level::info);
  return logger;
}

spdlog::logger& out() {
  static const auto logger = make("darknet", false, "%v");
  return *logger;
}

spdlog::logger& err() {
  static const auto logger = make("darknet-err", true, "%^%l%$: %v");
  return *logger;
}

}  // namespace

void info(const std::string& s) { out().info("{}", s); }
void warn(const std::string& s) { err().warn("{}", s); }
void error(const std::string& s) { err().error("{}", s); }

bool on_terminal() {
  static const bool terminal = isatty(STDOUT_FILENO) != 0;
  return terminal;
}

void progress(const std::string& line, bool also_when_plain) {
  if (on_terminal()) {
    std::printf("\r\033[K%s", line.c_str());
    std::fflush(stdout);
  } else if (also_when_plain) {
    info(line);
  }
}

void end_progress() {
  if (!on_terminal()) return;
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace darknet::log
