// The output of `detector imbalance`: a summary for people, JSON for programs.
#pragma once
#include <string>

#include "core/file_format.h"
#include "eval/objectness_statistics.h"

namespace darknet::cli {

void print(const ObjectnessStatistics&);
std::string to_json(const ObjectnessStatistics&);
FileFormat imbalance_json_format();

}  // namespace darknet::cli
