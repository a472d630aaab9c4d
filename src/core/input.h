// Input files: opened without waiting for anyone, only of the kinds that can be read, and never
// read beyond a limit. Members of tar shards are files too (core/tar_shard.h). What the program
// reads is opened here, but for the shards themselves, their checksums and URLs
// (core/byte_source.h), and for videos, which image/ hands to OpenCV.
#pragma once
#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <streambuf>
#include <string>
#include <vector>

namespace darknet {

class ByteSource;  // core/byte_source.h

// What another program writes, as in `<(zcat x.gz)` or /dev/stdin. A pipe delivers its bytes once;
// `allowed` keeps them in memory for the rest of the process, so that a second reader of the same
// pipe gets them too. `once` keeps nothing: for inputs that may be larger than the memory. A FIFO
// that has a name is always refused: it would wait for a program to write into it.
enum class Pipes { refused, allowed, once };

// Whether something has this name, be it a loop of links; for files that may be absent.
bool is_present(const std::filesystem::path&);
bool is_folder(const std::filesystem::path&);
// Whether it names what `Pipes::allowed` lets in apart from files.
bool is_pipe(const std::filesystem::path&);

// The bytes of a file, in order. Every function throws Error, naming the file, where it cannot be
// read or holds more than `max_bytes`.
class InputBuffer : public std::streambuf {
 public:
  InputBuffer(const std::filesystem::path&, std::uint64_t max_bytes, Pipes);
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;
  ~InputBuffer() override;
  // What is left, at once.
  std::string rest();

 protected:
  int_type underflow() override;
  // Of files; of pipes within what was read ahead. What is in the buffer is not read again.
  pos_type seekoff(off_type, std::ios::seekdir, std::ios::openmode) override;
  pos_type seekpos(pos_type to, std::ios::openmode mode) override {
    return seekoff(to, std::ios::beg, mode);
  }

 private:
  bool open_member();
  std::string take_rest();
  // Into `to`; 0 at the end.
  std::size_t read(char* to, std::size_t bytes);
  std::size_t read_descriptor(char* to, std::size_t bytes) const;
  std::size_t read_kept(char* to, std::size_t bytes);
  std::size_t read_member(char* to, std::size_t bytes) const;
  std::string read_pipe() const;
  void require_within_limit(std::uint64_t bytes) const;
  std::filesystem::path path_;
  std::uint64_t max_bytes_, read_ = 0;  // read_: up to where in the file
  std::uint64_t size_ = 0;  // as the system reports it; 0 for pipes and for files that it makes up
  int descriptor_ = -1;
  std::shared_ptr<const ByteSource> member_of_;  // of a member of a shard, in place of a descriptor
  std::uint64_t begin_ = 0;                      // where the member begins in it
  bool keeps_ = false;                           // a pipe with Pipes::allowed
  const std::string* kept_ = nullptr;            // all of that pipe, once something was read
  std::vector<char> buffer_;
};

// Throws what InputBuffer throws.
class InputFile : public std::istream {
 public:
  explicit InputFile(const std::filesystem::path& path, std::uint64_t max_bytes,
                     Pipes pipes = Pipes::refused)
      : std::istream(nullptr), buffer_(path, max_bytes, pipes) {
    init(&buffer_);
    exceptions(std::ios::badbit);  // lets through what the buffer throws
  }
  std::string rest() { return buffer_.rest(); }

 private:
  InputBuffer buffer_;
};

}  // namespace darknet
