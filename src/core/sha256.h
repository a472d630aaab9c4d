// SHA-256 (FIPS 180-4), by OpenSSL's libcrypto.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace darknet {

class Sha256 {
 public:
  Sha256();  // throws in a build without it
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();
  void add(const void* data, std::size_t bytes);
  std::string hex();  // at the end, once: 64 digits

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace darknet
