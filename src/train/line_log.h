// A text file that grows by a line with every iteration. On a resume, what it holds of later
// iterations is dropped first.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/file.h"

namespace darknet {

class LineLog {
 public:
  // `iteration_of` a line; none for lines that a kill cut, which are dropped, 0 for a header.
  using IterationOf = std::function<std::optional<std::int64_t>(std::string_view line)>;
  LineLog(std::filesystem::path, FileFormat, std::int64_t keep_up_to_iteration,
          const IterationOf& iteration_of);

  // The lines of the run that this one resumes; empty after the first append.
  const std::string& kept() const { return kept_; }
  void drop_kept() { kept_.clear(); }
  void append(const std::string& lines);  // each with its end

 private:
  std::filesystem::path path_;
  FileFormat format_;
  std::string kept_;  // an older file stays as it is until the first append
  std::optional<AppendedFile> file_;
};

}  // namespace darknet
