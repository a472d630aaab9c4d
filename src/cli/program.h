// The program behind main(). Not command.h, which brings CLI11: that takes seconds to compile.
#pragma once

namespace darknet::cli {

// Runs the program: parses, runs one command, prints what went wrong. Returns the exit code.
int run_program(int argc, char** argv);

}  // namespace darknet::cli
