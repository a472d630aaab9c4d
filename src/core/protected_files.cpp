#include "core/protected_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <mutex>

#include "core/error.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

// The ones that live. Global, since a writer that has to be handed them can be made without.
struct Registry {
  std::mutex mutex;
  std::vector<ProtectedFiles*> living;
};

Registry& registry() {
  static Registry all;
  return all;
}

}  // namespace

ProtectedFiles::ProtectedFiles() {
  const std::lock_guard lock(registry().mutex);
  registry().living.push_back(this);
}

ProtectedFiles::ProtectedFiles(const std::vector<std::pair<const char*, fs::path>>& files)
    : ProtectedFiles() {
  for (const auto& [what, file] : files) add(what, file);
}

ProtectedFiles::~ProtectedFiles() {
  const std::lock_guard lock(registry().mutex);
  std::erase(registry().living, this);
}

void ProtectedFiles::add(const std::string& what, const fs::path& file) {
  add(add_kind(cat(what, ' ', file.string())), file);
}

ProtectedFiles::Kind ProtectedFiles::add_kind(const std::string& what) {
  const std::lock_guard lock(registry().mutex);
  whats_.push_back(what);
  return static_cast<Kind>(whats_.size() - 1);
}

void ProtectedFiles::add(Kind kind, const fs::path& file) {
  struct ::stat at {};
  if (file.empty() || ::stat(file.c_str(), &at) != 0) return;
  const std::lock_guard lock(registry().mutex);
  files_.push_back({at.st_dev, at.st_ino, kind});
  sorted_ = false;
}

const std::string* ProtectedFiles::find(const File& file) {
  if (!sorted_) std::stable_sort(files_.begin(), files_.end());
  sorted_ = true;
  const auto at = std::lower_bound(files_.begin(), files_.end(), file);
  return at == files_.end() || file < *at ? nullptr : &whats_[at->what];
}

void require_unprotected(const fs::path& output) {
  struct ::stat at {};
  if (::stat(output.c_str(), &at) != 0 || S_ISDIR(at.st_mode)) return;
  const std::lock_guard lock(registry().mutex);
  for (ProtectedFiles* inputs : registry().living)
    if (const std::string* what = inputs->find({at.st_dev, at.st_ino, 0})) {
      std::error_code ignored;
      fail(output.string(), ": would replace ", *what, ", which this run reads (",
           fs::canonical(output, ignored).string(), "); give the output another name");
    }
}

}  // namespace darknet
