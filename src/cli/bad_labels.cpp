#include "cli/bad_labels.h"

#include <string>

namespace darknet::cli {

void add_bad_labels(const Command& command, BadLabels& bad) {
  command
      .option(
          "-bad_labels", [&bad](const std::string& word) { bad = bad_labels_of(word); },
          "of invalid labels: stop; clip (boxes that reach out of the image are cut to it); skip "
          "(bad "
          "lines, and images without a label file, are left out and listed) (stop)")
      .one_of({word_of(BadLabels::stop), word_of(BadLabels::clip), word_of(BadLabels::skip)})
      .value_name("WHAT");
}

void add_max_bad(const Command& command, double& share) {
  command
      .option(
          "-max_bad", [&share](double percent) { share = percent / 100; },
          "per cent of the images that may be unreadable and are skipped (1)")
      .number_in(0, 100);
}

}  // namespace darknet::cli
