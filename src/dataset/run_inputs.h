// The images, lists and labels that a run reads, held so that no output replaces them.
#pragma once
#include <cstdint>
#include <vector>

#include "cfg/data_file.h"
#include "cfg/section.h"
#include "core/protected_files.h"
#include "dataset/image_paths.h"

namespace darknet {

// Holds images and, with `labels`, their label files as ground truth.
void add_images(ProtectedFiles&, const ImagePaths& images, bool labels);

// What stands in the lists of a .data file.
enum class ListedFiles : std::uint8_t { none, images, images_and_labels };
// Holds the .data file, its .names file and its lists, and what stands in them as `listed` says.
void add_data(ProtectedFiles&, const DataFile&, ListedFiles listed);

// Holds the files that keys of a cfg name (cfg/key_files.h).
void add_files_of_keys(ProtectedFiles&, const std::vector<Section>& cfg);

}  // namespace darknet
