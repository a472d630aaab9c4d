// The flags of commands that read labels, or many images, of what to do with invalid ones.
#pragma once
#include "cli/command.h"
#include "dataset/labels.h"

namespace darknet::cli {

void add_bad_labels(const Command&, BadLabels&);
// -max_bad: the share of images that may be unreadable, .01 = 1 %.
void add_max_bad(const Command&, double& share);

}  // namespace darknet::cli
