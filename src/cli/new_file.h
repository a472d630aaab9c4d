// Outputs that take a file's place only where the command line says so: -force.
#pragma once
#include <filesystem>

#include "cli/command.h"
#include "core/file_format.h"

namespace darknet::cli {

void add_force(const Command&, bool& force);  // -force

// To be asked before long work. Throws where the file exists, unless `force`, and where it could
// not be written (require_writable_file). A name that ends in .cfg or .weights is for such a file
// alone.
void require_new_file(const std::filesystem::path&, const FileFormat&, bool force);

}  // namespace darknet::cli
