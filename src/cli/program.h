// The program behind main().
#pragma once

namespace darknet::cli {

// Runs the program: parses, runs one command, prints what went wrong. Returns the exit code.
int run_program(int argc, char** argv);

}  // namespace darknet::cli
