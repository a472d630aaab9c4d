// The members of a tar file, by libarchive: where each lies, and writing them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/byte_source.h"

namespace darknet {

bool reads_shards();  // whether this build has libarchive; else all of this throws

struct TarMember {
  std::string name;
  std::uint64_t offset = 0, bytes = 0;  // of its contents
};

// Hands over every file of a tar in its order, and its contents where `wanted` says so: they cost
// no second request then. What lies between headers is not read, but for small members behind a
// URL. Throws Error, "NAME: MEMBER: ...", where the tar is damaged or cut short, or holds what
// cannot be read at a place (links, sparse files).
void for_each_tar_member(
    const ByteSource& tar, const std::string& name,
    const std::function<bool(const TarMember&)>& wanted,
    const std::function<void(const TarMember&, const std::string& contents)>& take);

// Takes its name at commit(), like an AtomicFile. Owner, group and time of the members are 0: equal
// contents make equal files.
class TarWriter {
 public:
  explicit TarWriter(const std::filesystem::path&);
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;
  ~TarWriter();
  void add(const std::string& name, std::string_view contents);
  // At most, if a file and its label file of this name and so many bytes together were the last.
  std::uint64_t bytes_with(std::string_view name, std::uint64_t contents) const;
  struct Written {
    std::uint64_t bytes = 0;
    std::string sha256;  // hexadecimal
  };
  Written commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace darknet
