// The formats of annotations that can be read, and which of them a folder holds. A format is one
// file, annotation/NAME.cpp, and one line in formats.def.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "annotation/annotated_set.h"
#include "annotation/source_folder.h"

namespace darknet {

struct AnnotationFormat {
  const char* name;
  const char* description;
  bool (*found_in)(const SourceFolder&);
  // `names`: as in SetBuilder. Throws with file and line where something is wrong.
  AnnotatedSet (*read)(const SourceFolder&, const std::vector<std::string>& names);
};

std::span<const AnnotationFormat> annotation_formats();
// By name, or "auto": the one that the folder holds. Throws where it holds none, or several.
const AnnotationFormat& annotation_format(const std::string& name, const SourceFolder&);

}  // namespace darknet
