// The flag -bad_labels of every command that reads labels.
#pragma once
#include "cli/command.h"
#include "dataset/labels.h"

namespace darknet::cli {

void add_bad_labels(const Command&, BadLabels&);

}  // namespace darknet::cli
