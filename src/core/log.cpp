#include "core/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <memory>

#include "core/log_capture.h"
#include "core/ranks.h"
#include "core/text.h"

namespace darknet::log {
namespace {

constexpr std::string_view kLayout = "\n\t";  // of messages of several lines

// The file itself, whatever takes the place of stderr meanwhile (image/decoder_messages.h).
std::FILE* error_file() {
  static std::FILE* const file = ::fdopen(STDERR_FILENO, "w");
  return file ? file : stderr;
}

std::shared_ptr<spdlog::logger> make(const char* name, std::FILE* to, const char* pattern) {
  using Sink = spdlog::sinks::ansicolor_sink<spdlog::details::console_mutex>;
  auto logger = std::make_shared<spdlog::logger>(
      name, std::make_shared<Sink>(to, spdlog::color_mode::automatic));
  logger->set_pattern(pattern);
  logger->flush_on(spdlog::level::info);
  logger->set_error_handler([](const std::string&) {});  // main() reports failed writes, once
  return logger;
}

spdlog::logger& out() {
  static const auto logger = make("darknet", stdout, "%v");
  return *logger;
}

spdlog::logger& err() {
  static const auto logger = make("darknet-err", error_file(), "%^%l%$: %v");
  return *logger;
}

thread_local const Capture::Take* taker = nullptr;  // NOLINT: of the thread's innermost capture
// How many WithoutWarnings the thread has, and all threads: they drop what the thread's capture
// would get, and what any thread would print.
thread_local int without_warnings = 0;       // NOLINT
std::atomic<int> warnings_off_anywhere = 0;  // NOLINT

struct RankOutput {
  bool of_several = false;
  std::string prefix;
};
RankOutput& rank_output() {
  static RankOutput one;
  return one;
}
bool is_quiet() { return !rank_prefix().empty(); }

bool captured(Level level, const std::string& s) {
  const bool dropped = level == Level::warning && without_warnings > 0;
  if (taker && !dropped) (*taker)(level, printable(s, kLayout));
  return taker != nullptr;
}

}  // namespace

bool is_captured() { return taker != nullptr; }

void set_rank(std::int64_t rank) {
  rank_output() = {true, rank > 0 ? fmt::format("rank {}: ", rank) : ""};
  err().set_pattern("%^%l%$: " + rank_output().prefix + "%v");
}

const std::string& rank_prefix() { return rank_output().prefix; }

void info(const std::string& s) {
  if (!captured(Level::info, s) && !is_quiet()) out().info("{}", printable(s, kLayout));
}
void warn(const std::string& s) {
  if (!captured(Level::warning, s) && warnings_off_anywhere == 0)
    err().warn("{}", printable(s, kLayout));
}
void error(const std::string& s) {
  if (!captured(Level::error, s)) err().error("{}", printable(s, kLayout));
}

Capture::Capture(const Take& take) : outer_(taker) { taker = &take; }
Capture::~Capture() { taker = outer_; }

WithoutWarnings::WithoutWarnings() { ++without_warnings, ++warnings_off_anywhere; }
WithoutWarnings::~WithoutWarnings() { --without_warnings, --warnings_off_anywhere; }

bool on_terminal() {
  // mpirun gives its processes terminals whatever it writes to.
  static const bool terminal = isatty(STDOUT_FILENO) != 0 && launch_of_environment().count == 1;
  return terminal && !rank_output().of_several;
}

void progress(const std::string& line, bool also_when_plain) {
  if (taker) return;
  if (on_terminal()) {
    std::printf("\r\033[K%s", printable(line).c_str());
    std::fflush(stdout);
  } else if (also_when_plain) {
    info(line);
  }
}

void end_progress() {
  if (taker || !on_terminal()) return;
  std::printf("\n");
  std::fflush(stdout);
}

std::string duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(std::max(0., seconds)));
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

Progress::Progress(std::string what, std::int64_t of)
    : what_(std::move(what)), of_(of), start_(Clock::now()), reported_(start_) {}

Progress::~Progress() {
  if (shown_) end_progress();
}

void Progress::at(std::int64_t done) {
  constexpr double kOnTerminal = .1, kPlain = 10;  // seconds between two lines
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const auto now = Clock::now();
  if (seconds(now - reported_) < (on_terminal() ? kOnTerminal : kPlain) || done <= 0) return;
  reported_ = now;
  shown_ = true;
  const double left =
      seconds(now - start_) * static_cast<double>(of_ - done) / static_cast<double>(done);
  progress(fmt::format("{} {} of {}, ETA {}", what_, done, of_, duration(left)), true);
}

}  // namespace darknet::log
