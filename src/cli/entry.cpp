// Runs the command line; the only place that catches every error and ends the program.
#include "cli/entry.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <system_error>

#include "cli/command.h"
#include "cli/program.h"
#include "core/error.h"
#include "core/log.h"
#include "core/process_end.h"
#include "core/ranks.h"
#include "core/sentence_of.h"
#include "core/text.h"
#include "core/together.h"
#include "image/decoder_messages.h"

namespace darknet::cli {
namespace {

constexpr int kFailed = 1;

// A closed one would become the number of the next file that is opened, and messages would go into
// that. Writing to what is put into its place fails, as it should.
void keep_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) < 0)
      while (::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0 &&
             errno == EINTR)
        continue;
}

void print_error(const char* what) {
  const std::string& rank = log::rank_prefix();
  std::fflush(stdout);  // where both go to one file, what was printed before comes first
  std::fprintf(stderr, "darknet: %s%s\n", rank.c_str(), printable(what, "\n\t").c_str());
}

bool failed_alone = false;  // other ranks of the job do not know of it

int report(const std::exception& e, int exit_code) {
  failed_alone = true;
  let_rank_0_report();
  print_error(sentence_of(e).c_str());
  return exit_code;
}

// `output_error`: the error number of a write to standard output that failed meanwhile.
int run(int argc, char** argv, int& output_error) try {
  return run_program(argc, argv);
} catch (const CommonFailure& e) {  // every rank has it; rank 0 reports it
  if (log::rank_prefix().empty()) print_error(e.what());
  return e.exit_code();
} catch (const Error& e) {
  return report(e, e.exit_code());
} catch (const std::system_error& e) {  // finish() reports standard output
  if (std::ferror(stdout) == 0) return report(e, kFailed);
  output_error = e.code().value();
  return kFailed;
} catch (const std::exception& e) {
  return report(e, kFailed);
}

// The other end of a pipe was closed: it has seen enough (| head).
bool reader_is_gone() {
  ::pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

// What was printed has to have arrived.
int finish(int exit_code, int output_error) {
  const bool failed = std::ferror(stdout) != 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int why = flushed ? output_error : errno;
  if (!failed && flushed) return exit_code;
  if (!reader_is_gone())
    report(Error(cat("cannot write to standard output", why ? ": " : "",
                     why ? std::strerror(why) : "")),
           kFailed);
  return exit_code == 0 ? kFailed : exit_code;
}

}  // namespace
}  // namespace darknet::cli

int darknet_main(int argc, char** argv) {
  using namespace darknet;  // NOLINT(google-build-using-namespace)
  cli::keep_standard_descriptors();
  std::signal(SIGXFSZ, SIG_IGN);        // a write beyond `ulimit -f` fails with a reason instead
  const DecoderMessageStreams streams;  // before any thread
  int output_error = 0;
  const int run_code = cli::run(argc, argv, output_error);
  const int exit_code = cli::finish(run_code, output_error);
  close_ranks(exit_code, cli::failed_alone);
  if (ends_without_destructors) {
    std::fflush(nullptr);
    ::_exit(exit_code);
  }
  return exit_code;
}
