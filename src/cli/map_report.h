// The output of `detector map`: tables for people, JSON and curves for programs.
#pragma once
#include <filesystem>
#include <string>

#include "core/file_format.h"
#include "eval/map_result.h"

namespace darknet::cli {

void print(const MapResult&);
// The threshold of a best F1 as -thresh takes it. F1 counts scores of at least the threshold,
// `detector test` those above it: rounded down.
std::string printed_threshold(const BestF1&, int digits = 3);
std::string to_json(const MapResult&);
FileFormat map_json_format();
// Throws where write_curves() could not write into the folder: to be asked before long work.
void require_writable_curves(const std::filesystem::path& folder);
// FOLDER/CLASS.csv (threshold, precision, recall), precision-recall.svg and .png, confusion.png.
void write_curves(const std::filesystem::path& folder, const MapResult&);

}  // namespace darknet::cli
