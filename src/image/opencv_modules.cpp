#if defined(DARKNET_OPENCV)
#include "image/opencv_modules.h"

#include <dlfcn.h>

#include "core/error.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

fs::path program_folder() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown).parent_path();
}

fs::path find_module(const std::string& file) {
  const fs::path folder = program_folder(),
                 installed = (folder / "../lib/darknet").lexically_normal();
  for (const fs::path& path : {folder / file, installed / file})
    if (std::error_code unknown; fs::exists(path, unknown)) return path;
  throw ModuleError(cat("cannot find ", file, ", a part of this program, in ", folder.string(),
                        " or in ", installed.string(), "; build or install the program again"));
}

}  // namespace

const void* open_module(const std::string& file) {
  const fs::path path = find_module(file);
  // The module's own symbols are resolved at once (-z now), those of the libraries when needed.
  void* const module = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (!module)
    throw ModuleError(cat("cannot load ", path.string(), ": ", ::dlerror(),
                          "; install what is missing, or build the program again"));
  auto* const entry = reinterpret_cast<ModuleEntry*>(::dlsym(module, "darknet_module"));
  const void* const functions = entry ? entry(DARKNET_MODULE_INTERFACE) : nullptr;
  if (!functions)
    throw ModuleError(cat(path.string(), " belongs to another version of this program; build or ",
                          "install the program again"));
  return functions;
}

}  // namespace darknet
#endif
