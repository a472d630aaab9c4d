// Runs the command line; the only place that catches every error and ends the program.
#include <cstdio>
#include <exception>

#include "cli/command.h"
#include "core/error.h"
#include "core/out_of_memory.h"

constexpr char kOutOfMemory[] =
    "darknet: out of memory; a smaller batch, more subdivisions, a smaller input or fewer images "
    "need less, and so do other programs that are closed\n";

int main(int argc, char** argv) try {
  return darknet::cli::run_program(argc, argv);
} catch (const darknet::Error& e) {
  std::fprintf(stderr, "darknet: %s\n", e.what());
  return e.exit_code();
} catch (const darknet::OutOfMemory& e) {
  std::fprintf(stderr, "darknet: %s\n", e.what());
  return 1;
} catch (const std::bad_alloc&) {
  std::fprintf(stderr, kOutOfMemory);
  return 1;
} catch (const std::length_error&) {  // asked for more than there is in any machine
  std::fprintf(stderr, kOutOfMemory);
  return 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "darknet: %s\n", e.what());
  return 1;
}
