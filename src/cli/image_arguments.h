// The images that a command line names: files, lists, folders and patterns.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dataset/image_paths.h"

namespace darknet::cli {

// In the order given; a folder's images by name, with those of its folders where `recursive`; a
// .txt file is a list; a pattern ("shots/*.jpg", quoted) is expanded here where the shell did not.
// Throws where a folder or a pattern gives nothing; none: of a command without -recursive.
ImagePaths images_of(const std::vector<std::string>& arguments, std::optional<bool> recursive);

// What a line of standard input names, typed or dragged into a terminal. Where there is nothing of
// this very name, quotes, escapes (a\ b.jpg) and ~/ are read as a shell reads them, and several
// such words are several images; folders, lists and patterns as above. Throws as images_of().
ImagePaths images_typed(const std::string& line, bool recursive);

}  // namespace darknet::cli
