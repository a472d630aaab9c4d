// The one exception type of the program. main() is the only place that catches it and exits.
// Free of fmt and spdlog, so that files compiled by nvcc can include it.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace darknet {

// A place in a text file; line 0 means the file as a whole.
struct Where {
  std::string file;
  int line = 0;
};

// what() is the message for the user. The exit code is 1 unless the command line itself is wrong.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, int exit_code = 1)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// cat("x=", 3) == "x=3"
template <class... A>
std::string cat(const A&... a) {
  std::ostringstream s;
  (s << ... << a);
  return std::move(s).str();
}

inline std::string to_string(const Where& w) {  // line 0: the file as a whole
  return w.line > 0 ? cat(w.file, ':', w.line) : w.file;
}

template <class... A>
[[noreturn]] void fail(const A&... a) {
  throw Error(cat(a...));
}

template <class... A>
[[noreturn]] void fail_at(const Where& w, const A&... a) {
  throw Error(cat(to_string(w), ": ", a...));
}

}  // namespace darknet
