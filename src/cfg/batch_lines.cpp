#include "cfg/batch_lines.h"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string_view>
#include <vector>

#include "cfg/parse.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

// "# batch=64" or "batch=64  # more", which is in force.
struct BatchLine {
  std::size_t line = 0;
  std::int64_t value = 0;
  bool in_force = false;
};

std::string_view uncommented(std::string_view line) {
  line = trim(line);
  const auto begin = line.find_first_not_of("#; \t");
  return begin == line.npos ? "" : line.substr(begin);
}

// Of the first section; the lines of all sections.
std::vector<BatchLine> lines_of_key(const std::vector<std::string>& lines, std::string_view key) {
  std::vector<BatchLine> found;
  int sections = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    sections += trim(lines[i]).starts_with('[') ? 1 : 0;
    if (sections != 1) continue;
    const std::string_view code = trim(without_comment(uncommented(lines[i])));
    const auto equals = std::min(code.find('='), code.size());
    std::int64_t value = 0;
    if (equals == code.size() || trim(code.substr(0, equals)) != key ||
        !read_number(trim(code.substr(equals + 1)), value))
      continue;
    found.push_back({i, value, trim(lines[i]) == uncommented(lines[i])});
  }
  return found;
}

// One of the lines in force, all others comments.
void put_in_force(std::vector<std::string>& lines, const std::vector<BatchLine>& of_key,
                  const BatchLine& chosen) {
  for (const BatchLine& l : of_key) {
    const bool wanted = l.line == chosen.line;
    if (wanted != l.in_force)
      lines[l.line] = wanted ? std::string(uncommented(lines[l.line])) : "# " + lines[l.line];
  }
}

// `batch`: what subdivisions must divide in training; 0 for batch= itself. Returns the value that
// is in force then.
std::int64_t switch_key(std::vector<std::string>& lines, const char* key, bool training,
                        std::int64_t batch, const std::string& name) {
  const std::vector<BatchLine> of_key = lines_of_key(lines, key);
  const auto fits = [&](const BatchLine& l) { return l.value > 0 && batch % l.value == 0; };
  const auto better = [&](const BatchLine& a, const BatchLine& b) {
    if (training && fits(a) != fits(b)) return fits(b);
    if (training && a.value != b.value) return a.value < b.value;
    if ((a.value == 1) != (b.value == 1)) return b.value == 1;
    return a.in_force < b.in_force;
  };
  const auto chosen = std::max_element(of_key.begin(), of_key.end(), better);
  if (training && std::string_view(key) == "batch" &&
      (chosen == of_key.end() || chosen->value <= 1))
    fail_at({name, 0},
            "[net] has no batch= above 1, as a comment or not: name the one to train "
            "with, as -set net.0.batch=64");
  if (chosen == of_key.end()) return 1;  // the default
  if (training || chosen->value == 1) {
    put_in_force(lines, of_key, *chosen);
    // What -testing put above the line that it made a comment.
    if (training && !chosen->in_force && chosen != of_key.begin() &&
        lines[chosen->line - 1] == cat("# ", key, "=1"))
      lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(chosen->line - 1));
    return chosen->value;
  }
  put_in_force(lines, of_key, {.line = lines.size()});
  lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(of_key.front().line), cat(key, "=1"));
  return 1;
}

}  // namespace

std::string switched_batch(const std::string& text, bool training, const std::string& name) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  LineReader reader(in, name);
  for (std::string_view line; reader.next(line);) lines.emplace_back(line);
  const std::int64_t batch = switch_key(lines, "batch", training, 0, name);
  switch_key(lines, "subdivisions", training, batch, name);
  return lines.empty() ? "" : joined(lines, "\n") + "\n";
}

}  // namespace darknet
