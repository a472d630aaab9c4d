// Writes an annotated set in Darknet's layout:
//
//   OUT/images/          links to the images, or copies
//   OUT/labels/          a text file for each image: class, then centre and size in fractions
//   OUT/SPLIT.txt        one image a line, whole paths
//   OUT/difficult/       labels/ and SPLIT.txt alike, of the objects that evaluation does not count
//   OUT/NAME.names, OUT/NAME.data, which comes last; NAME is the last part of OUT
//   OUT/import.json      says what was imported
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "annotation/annotated_set.h"

namespace darknet {

struct WriteSetOptions {
  std::filesystem::path out;
  std::filesystem::path source;  // the folder that was read
  bool copy = false;             // the images, instead of links to them
  bool replace = false;          // what an earlier import wrote
  std::string train, valid;      // names of splits for the .data file; empty: none
};

// Throws where the folder holds anything but an earlier import, or a complete one without
// `replace`.
void require_import_folder(const WriteSetOptions&);
// Returns the path of the .data file. Throws where an image of the set lies in an earlier import
// that would be replaced. A set whose writing was interrupted has none.
std::filesystem::path write_set(const AnnotatedSet&, const WriteSetOptions&);

}  // namespace darknet
