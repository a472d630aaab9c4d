// Files that are replaced whole or not at all, and whole files as bytes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file_format.h"

namespace darknet {

// Writes to a temporary name next to `path`; commit() flushes to the disk and renames. Without
// commit() the temporary is removed and the previous file stays. Every failed write throws, and so
// does whatever would replace an input of the run, or a file of another kind (core/file_format.h).
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  // Throws at once where the file that is there has another format.
  AtomicFile(const std::filesystem::path& path, const FileFormat& format);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, std::size_t bytes);
  void write(const std::string& text) { write(text.data(), text.size()); }
  // Closes the temporary until the next write(): many files that grow for long hold no descriptors.
  void pause();
  void commit();

 private:
  void open(int flags);
  [[noreturn]] void fail_io(const char* what) const;
  std::filesystem::path path_, temporary_;
  std::optional<FileFormat> format_;  // without one, that of prefix_ counts
  std::string prefix_;                // the first bytes that were written
  bool made_ = false;                 // the temporary
  int descriptor_ = -1;               // -1: paused
};

// Grows at its end, each text by one call of the system where possible: a kill between two texts
// leaves whole ones, and so does a full disk. Made where it is missing.
class AppendedFile {
 public:
  explicit AppendedFile(std::filesystem::path path);
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;
  ~AppendedFile();
  void append(const std::string& text);

 private:
  [[noreturn]] void fail_io(const char* more = "") const;
  std::filesystem::path path_;
  int descriptor_ = -1;
};

void write_file_atomically(const std::filesystem::path&, const std::string& contents);

// Throws where the file cannot be read or exceeds `max_bytes`.
std::string read_file(const std::filesystem::path&, std::uint64_t max_bytes);

// These throw Error, naming the path and the reason, where the system refuses.
void make_folder(const std::filesystem::path&);  // with its parents; it may be there already
void remove_file(const std::filesystem::path&);  // or an empty folder; it may be gone already
// The paths of all that a folder holds, in the order of their names.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);
// The paths of all files below a folder, in their order. Links to folders are followed; what leads
// back to a folder above is not.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder);
// Whether `path` holds * ? or [ and no file has this very name.
bool is_pattern(const std::filesystem::path& path);
// The paths of all files that match a pattern, sorted; may be empty.
std::vector<std::filesystem::path> files_matching(const std::filesystem::path& pattern);

// Throws, naming the folder and the reason, unless files can be made in `folder`; makes the folder.
void require_writable_folder(const std::filesystem::path& folder);
// Throws where an AtomicFile of this format could not be made of it: to be asked before long work,
// once for every output of a run: two outputs under one name are refused.
void require_writable_file(const std::filesystem::path&, const FileFormat&);

// `prefix` is what names of output files begin with. Throws where it names a folder: "shots/".
void require_file_prefix(const std::filesystem::path& prefix);

// For an output whose name follows from an input, of which there may be many: throws where it would
// replace an input, a file of another format, or another output.
void require_replaceable(const std::filesystem::path&, const FileFormat&);

// Removes what AtomicFiles of programs that were killed left in `folder`, of files whose names
// begin with `prefix`.
void remove_leftovers(const std::filesystem::path& folder, const std::string& prefix);

}  // namespace darknet
