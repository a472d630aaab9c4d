#if defined(DARKNET_MODULE_INTERFACE)  // there are modules
#include "core/modules.h"

#include <dlfcn.h>
#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "core/error.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

fs::path program_file() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown);
}

// Where a library lies. The name alone would be wrong where it was opened by a relative one and the
// process has gone to another folder since.
fs::path file_of_library(const char* name) {
  fs::path file = name;
  if (file.is_absolute()) return file;
  if (void* const library = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) {
    std::array<char, PATH_MAX> folder{};
    if (::dlinfo(library, RTLD_DI_ORIGIN, folder.data()) == 0)
      file = fs::path(folder.data()) / file.filename();
    ::dlclose(library);
  }
  return file;
}

// The program or the shared library that this code is in.
fs::path file_of_this_code(bool& is_program) {
  const auto loaded_at = [](const void* address) {
    Dl_info info{};
    return ::dladdr(address, &info) != 0 ? info : Dl_info{};
  };
  static const char here = 0;
  const Dl_info mine = loaded_at(&here);
  const Dl_info main =
      loaded_at(reinterpret_cast<const void*>(::getauxval(AT_PHDR)));  // NOLINT(*-int-to-ptr)
  is_program = !mine.dli_fname || mine.dli_fbase == main.dli_fbase;
  return is_program ? program_file() : file_of_library(mine.dli_fname);
}

// Where the modules of a build and of an installation lie.
std::vector<fs::path> module_folders() {
  if (const char* const chosen = std::getenv("DARKNET_MODULES")) return {chosen};
  bool is_program = false;
  std::error_code unknown;
  fs::path folder = fs::weakly_canonical(file_of_this_code(is_program), unknown).parent_path();
  // The library for this processor lies in glibc-hwcaps/LEVEL/ below the one for all.
  if (const fs::path above = folder.parent_path(); above.filename() == "glibc-hwcaps")
    folder = above.parent_path();
  std::vector<fs::path> folders{folder};
  const auto add = [&](const char* relative) {
    const fs::path other = (folder / relative).lexically_normal();
    if (std::find(folders.begin(), folders.end(), other) == folders.end()) folders.push_back(other);
  };
  if (!is_program) add("darknet"), add("../darknet");  // lib/, lib/x86_64-linux-gnu/
  add("../lib/darknet");                               // bin/, lib64/
  return folders;
}

fs::path find_module(const std::string& file) {
  std::string looked;
  for (const fs::path& folder : module_folders()) {
    if (std::error_code unknown; fs::exists(folder / file, unknown)) return folder / file;
    looked += (looked.empty() ? "" : " or in ") + folder.string();
  }
  throw ModuleError(cat("cannot find ", file, ", a part of this program, in ", looked,
                        "; build or install the program again, or give the module's folder in the "
                        "environment variable DARKNET_MODULES"));
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
