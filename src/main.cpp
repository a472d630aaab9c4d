// Runs the command line; the only place that catches every error and ends the program.
#include <cstdio>
#include <exception>

#include "cli/command.h"
#include "core/error.h"

int main(int argc, char** argv) try {
  return darknet::cli::run_program(argc, argv);
} catch (const darknet::Error& e) {
  std::fprintf(stderr, "darknet: %s\n", e.what());
  return e.exit_code();
} catch (const std::bad_alloc&) {
  std::fprintf(stderr,
               "darknet: out of memory; a smaller batch, more subdivisions or a smaller "
               "input need less\n");
  return 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "darknet: %s\n", e.what());
  return 1;
}
