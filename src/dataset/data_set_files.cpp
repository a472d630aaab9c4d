#include "dataset/data_set_files.h"

#include <system_error>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/file.h"

namespace darknet {
namespace fs = std::filesystem;

fs::path whole_path(const fs::path& path) {
  if (is_url(path.native())) return path;
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) fail(path.string(), ": the working directory is gone: ", error.message());
  return absolute.lexically_normal();
}

void write_image_list(const fs::path& file, const std::vector<fs::path>& images) {
  std::string text;
  for (const fs::path& image : images) text += whole_path(image).string() + "\n";
  write_file_atomically(file, text);
}

std::string data_text(const DataFile& data) {
  std::string text = cat("classes = ", data.classes, "\n");
  const auto line = [&](const char* key, const fs::path& path) {
    if (!path.empty()) text += cat(key, " = ", whole_path(path).string(), "\n");
  };
  line("train", data.train);
  line("valid", data.valid);
  line("difficult", data.difficult);
  line("names", data.names);
  line("backup", data.backup);
  return text;
}

}  // namespace darknet
