// What the commands have in common that write detections for other programs (test, detect, valid).
#pragma once
#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>

namespace darknet::cli {

// -format, from the list of dataset/result_formats.def. `remark`: for the end of its help.
CLI::Option* add_format(CLI::App&, std::string& format, const std::string& remark = "");

// For the help of these commands.
inline constexpr const char* kImageIds =
    "Image ids in COCO's file are the digits at the end of the images' names where every image of "
    "the\nlist has some and no two have the same, else their place in the list.";

// Of a run that a signal ended: of how many images the files are, and of how many in all where
// that is known. `files`: where the detections are; "": nowhere.
void report_interrupted(std::size_t images, std::optional<std::size_t> all,
                        const std::string& files);

}  // namespace darknet::cli
