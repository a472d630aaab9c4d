// What `detector check` and `classifier check` have in common: the lists of a .data file, one after
// the other, with their messages (dataset/check.h finds them).
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "cfg/data_file.h"
#include "dataset/check.h"

namespace darknet::cli {

inline constexpr double kOverlapSeconds = 300;  // for comparing the images of train= and valid=

struct ListChecks {
  ListCheck train, valid, tune;
  int interrupted = 0;  // the exit code; 0: it was not
  std::int64_t errors() const { return train.errors() + valid.errors() + tune.errors(); }
  std::int64_t warnings() const { return train.warnings() + valid.warnings() + tune.warnings(); }
  std::int64_t bad_lines() const { return train.bad_lines + valid.bad_lines + tune.bad_lines; }
};

// Prints the messages of each list, without `all` the first 50, and the list by `print`.
ListChecks check_lists(const DataFile&, ListCheckOptions, bool all,
                       const std::function<void(const char* name, const ListCheck&)>& print);

// "nothing is wrong", "2 errors, 1 warning"
std::string summary(std::int64_t errors, std::int64_t warnings);

}  // namespace darknet::cli
