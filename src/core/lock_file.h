// A lock file, which one process at a time holds. The lock is the kernel's (flock), so it ends with
// the process however that ends; the file's text names the holder for messages.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace darknet {

class LockFile {
 public:
  // Waits 2 s at most for a process that ends. Throws where another one holds it, naming that one;
  // `held_for` says what it does: "a training of x". A file that a process left that no longer runs
  // is taken over, with a notice. On a file system without locks the text decides: process id, its
  // start time, host.
  LockFile(std::filesystem::path path, const std::string& held_for);
  // The same, but none where another process holds it, or may hold it. Other errors are thrown.
  static std::unique_ptr<LockFile> try_lock(std::filesystem::path path,
                                            const std::string& held_for);
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile();  // removes the file

 private:
  enum class Lock : std::uint8_t { taken, held, unknown };  // unknown: no locks in this file system
  explicit LockFile(std::filesystem::path path) : path_(std::move(path)) {}
  // Why another process has it; "" where this one has it now.
  std::string acquire(const std::string& held_for);
  Lock open_and_lock();
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool taken_ = false;
};

}  // namespace darknet
