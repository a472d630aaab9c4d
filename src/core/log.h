// What the program says while it works. Messages are ready-made strings (cat()), so that files
// compiled by nvcc can log. Information goes to standard output, warnings and errors to standard
// error; command results are printed by cli/, not here.
#pragma once
#include <string>

namespace darknet::log {

void info(const std::string&);
void warn(const std::string&);
void error(const std::string&);

// One line that is rewritten in place on a terminal and printed plainly, as told by `every_line`,
// elsewhere. end_progress() leaves the last one standing.
bool on_terminal();
void progress(const std::string& line, bool also_when_plain);
void end_progress();

}  // namespace darknet::log
