#include "core/protected_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <mutex>

#include "core/error.h"
#include "core/file_format.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

// The ones that live. Global, since a writer that has to be handed them can be made without.
struct Registry {
  std::mutex mutex;
  std::vector<ProtectedFiles*> living;
  bool counts_outputs = false;
  std::vector<fs::path> outputs;  // whole paths without links
};

Registry& registry() {
  static Registry all;
  return all;
}

// Also of links to files that do not exist yet, at which weakly_canonical() ends.
fs::path whole(const fs::path& path) {
  constexpr int kMaxLinks = 40;  // as Linux
  std::error_code unknown;
  fs::path end = fs::absolute(path, unknown);
  for (int links = 0; links < kMaxLinks && fs::is_symlink(end, unknown); ++links)
    end = end.parent_path() / fs::read_symlink(end, unknown);
  const fs::path whole = fs::weakly_canonical(end, unknown);
  return whole.empty() ? path : whole;
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

void ProtectedFiles::add_later(AddFiles add_files) {
  const std::lock_guard lock(registry().mutex);
  later_.push_back(std::move(add_files));
}

// Unlocked while files are added, which locks.
void ProtectedFiles::add_what_was_put_off() {
  std::vector<std::pair<ProtectedFiles*, AddFiles>> all;
  {
    const std::lock_guard lock(registry().mutex);
    for (ProtectedFiles* inputs : registry().living) {
      for (AddFiles& add_files : inputs->later_) all.emplace_back(inputs, std::move(add_files));
      inputs->later_.clear();
    }
  }
  for (auto& [inputs, add_files] : all) {
    try {
      add_files(*inputs);
    } catch (const Error&) {  // whoever reads the list reports it
    }
  }
}

const std::string* ProtectedFiles::find(const File& file) {
  if (!sorted_) std::stable_sort(files_.begin(), files_.end());
  sorted_ = true;
  const auto at = std::lower_bound(files_.begin(), files_.end(), file);
  return at == files_.end() || file < *at ? nullptr : &whats_[at->what];
}

namespace {

// An empty file may be a label file, but not one of another name, such as a log that begins.
bool is_empty_and_no_label(const fs::path& output, const struct ::stat& at) {
  std::error_code unknown;
  return at.st_size == 0 && at.st_nlink == 1 && !fs::is_symlink(output, unknown) &&
         output.extension() != ".txt" && !is_image_name(output.native());
}

bool may_be_of_a_list(const fs::path& output, const struct ::stat& at) {
  if (is_empty_and_no_label(output, at)) return false;
  const std::string kind = format_of_file(output).kind;
  return kind.empty() || kind == kImageFormat.kind || kind == kAnnotatedFormat.kind ||
         kind == kLabelFormat.kind;
}

}  // namespace

void require_unprotected(const fs::path& output) {
  struct ::stat at {};
  if (::stat(output.c_str(), &at) != 0 || S_ISDIR(at.st_mode)) return;
  if (may_be_of_a_list(output, at)) ProtectedFiles::add_what_was_put_off();
  const std::lock_guard lock(registry().mutex);
  for (ProtectedFiles* inputs : registry().living)
    if (const std::string* what = inputs->find({at.st_dev, at.st_ino, 0})) {
      std::error_code ignored;
      fail(output.string(), ": would replace ", *what, ", which this run reads (",
           fs::canonical(output, ignored).string(), "); give the output another name");
    }
}

RunOutputs::RunOutputs() { registry().counts_outputs = true; }

RunOutputs::~RunOutputs() {
  registry().counts_outputs = false;
  registry().outputs.clear();
}

void require_unclaimed(const fs::path& output) {
  const std::lock_guard lock(registry().mutex);
  const auto& outputs = registry().outputs;
  std::error_code unknown;
  const bool linked = fs::is_symlink(output, unknown);
  for (const fs::path& other : outputs)
    if ((linked || other.filename() == output.filename()) && other == whole(output))
      fail(output.string(), ": two outputs of this run have this name; give one of them another");
}

void claim_output(const fs::path& output) {
  if (!registry().counts_outputs) return;
  require_unclaimed(output);
  const std::lock_guard lock(registry().mutex);
  registry().outputs.push_back(whole(output));
}

}  // namespace darknet
