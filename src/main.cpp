#include "cli/entry.h"

int main(int argc, char** argv) { return darknet_main(argc, argv); }
