// The flag -bad_labels of every command that reads labels.
#pragma once
#include <CLI/CLI.hpp>

#include "dataset/labels.h"

namespace darknet::cli {

void add_bad_labels(CLI::App&, BadLabels&);

}  // namespace darknet::cli
