// Names in VOC's files of detections: a class is the name of its file, and images are named
// without folder and extension.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/image_paths.h"

namespace darknet {

// What the file of a class is called: PREFIX + name + .txt, without the slashes of a name.
std::string voc_file_name(const std::string& prefix, const std::string& class_name);
// Throws, naming both, where two classes would share a file.
void require_voc_classes(const std::vector<std::string>& names);
// Throws where the name of an image cannot stand in a line.
void require_voc_image(const std::filesystem::path& image);
// Throws where two images would be one, naming both, or where require_voc_image() does.
void require_voc_images(const ImagePaths&);

}  // namespace darknet
