#include "cli/bad_labels.h"

#include <string>

namespace darknet::cli {

void add_bad_labels(CLI::App& app, BadLabels& bad) {
  app.add_option_function<std::string>(
         "--bad_labels",
         [&bad](const std::string& word) {
           bad = word == "skip"   ? BadLabels::skip
                 : word == "clip" ? BadLabels::clip
                                  : BadLabels::stop;
         },
         "of invalid labels: stop; clip (boxes that reach out of the image are cut to it); skip "
         "(bad "
         "lines, and images without a label file, are left out and listed) (stop)")
      ->check(CLI::IsMember({"stop", "clip", "skip"}))
      ->type_name("WHAT");
}

}  // namespace darknet::cli
