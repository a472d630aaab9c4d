// The flag -bad_labels of every command that reads labels.
#pragma once
#include "cli/command.h"
#include "dataset/labels.h"

namespace darknet::cli {

void add_bad_labels(const Command&, BadLabels&);
const char* word_of(BadLabels);  // as the flag takes it

}  // namespace darknet::cli
