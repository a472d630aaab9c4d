// All of the program but main(): in a build for several processors it lies in libdarknet.so, which
// exports this one function of it (DARKNET_LEVELS).
#pragma once

// Runs the command line, flushes standard output, reports every error. Returns the exit code.
extern "C" [[gnu::visibility("default")]] int darknet_main(int argc, char** argv);
