// A command line for the shell, and what it prints. For the program itself see cli_harness.h.
#pragma once
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "core/error.h"

namespace darknet::test {

struct ShellResult {
  int exit_code = -1;
  std::string output;  // both streams
};

inline ShellResult run_in_shell(const std::string& command) {
  ShellResult ran;
  FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (!pipe) fail("popen: ", command);
  std::array<char, 4096> part{};
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe))
    ran.output.append(part.data(), n);
  const int status = ::pclose(pipe);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

}  // namespace darknet::test
