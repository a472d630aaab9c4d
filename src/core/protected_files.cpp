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

bool ProtectedFiles::insert(const fs::path& file) {
  struct ::stat at {};
  if (file.empty() || ::stat(file.c_str(), &at) != 0) return false;
  files_.push_back({at.st_dev, at.st_ino, static_cast<std::uint32_t>(whats_.size())});
  sorted_ = false;
  return true;
}

void ProtectedFiles::add(const std::string& what, const fs::path& file) {
  const std::lock_guard lock(registry().mutex);
  if (insert(file)) whats_.push_back(cat(what, ' ', file.string()));
}

void ProtectedFiles::add_all(const std::string& what, std::span<const fs::path> files) {
  const std::lock_guard lock(registry().mutex);
  for (const fs::path& file : files) insert(file);
  whats_.push_back(what);
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
