#include "cli/bad_labels.h"

#include <string>

namespace darknet::cli {

void add_bad_labels(const Command& command, BadLabels& bad) {
  command
      .option(
          "-bad_labels",
          [&bad](const std::string& word) {
            bad = word == "skip"   ? BadLabels::skip
                  : word == "clip" ? BadLabels::clip
                                   : BadLabels::stop;
          },
          "of invalid labels: stop; clip (boxes that reach out of the image are cut to it); skip "
          "(bad "
          "lines, and images without a label file, are left out and listed) (stop)")
      .one_of({"stop", "clip", "skip"})
      .value_name("WHAT");
}

}  // namespace darknet::cli
