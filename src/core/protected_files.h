// The files that a run reads, so that nothing it writes takes the place of one of them, and the
// names it writes to, so that none is used twice. AtomicFile, AppendedFile and the writers of
// videos ask themselves.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace darknet {

// While one lives, its files are not written to by this process. Files count by what they are,
// device and inode: links and other spellings of a path are recognised.
class ProtectedFiles {
 public:
  ProtectedFiles();
  // Pairs of what a file is to the run ("the cfg") and its path.
  explicit ProtectedFiles(const std::vector<std::pair<const char*, std::filesystem::path>>& files);
  ProtectedFiles(const ProtectedFiles&) = delete;
  ProtectedFiles& operator=(const ProtectedFiles&) = delete;
  ~ProtectedFiles();

  // "" and files that do not exist are skipped.
  void add(const std::string& what, const std::filesystem::path& file);
  // For many of one kind ("an image"), 24 bytes each: what they are, then each of them.
  using Kind = std::uint32_t;
  Kind add_kind(const std::string& what);
  void add(Kind, const std::filesystem::path& file);
  // Of long lists: `add_files` is called, once, when an image, a label file or a file that is empty
  // like one is to be replaced: nothing else is in such lists. An Error of it means no files.
  using AddFiles = std::function<void(ProtectedFiles&)>;
  void add_later(AddFiles add_files);

 private:
  friend void require_unprotected(const std::filesystem::path&);
  struct File {
    std::uint64_t device = 0, inode = 0;
    Kind what = 0;  // index into whats_
    bool operator<(const File& other) const {
      return device != other.device ? device < other.device : inode < other.inode;
    }
  };
  static void add_what_was_put_off();
  const std::string* find(const File& file);  // nullptr: not among them
  std::vector<File> files_;
  std::vector<std::string> whats_;
  std::vector<AddFiles> later_;
  bool sorted_ = true;
};

// Throws, naming both, where `output` is a file that a ProtectedFiles of this process holds.
void require_unprotected(const std::filesystem::path& output);

// While one lives, the outputs of this process are counted as those of one run.
class RunOutputs {
 public:
  RunOutputs();
  RunOutputs(const RunOutputs&) = delete;
  RunOutputs& operator=(const RunOutputs&) = delete;
  ~RunOutputs();
};
// Throws where this run has another output of that name.
void require_unclaimed(const std::filesystem::path& output);
// The same, and it is one from now on.
void claim_output(const std::filesystem::path& output);

}  // namespace darknet
