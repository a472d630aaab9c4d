// A fat binary as nvcc puts it into a program.
#pragma once
#include <cstdint>
#include <string>

namespace emulator {

struct FatBinary {
  explicit FatBinary(const std::string& ptx) { add(1, 90, ptx.size(), 0, ptx, ptx.size()); }
  FatBinary() = default;

  void add(std::uint16_t kind, std::uint32_t architecture, std::size_t stored, std::uint64_t flags,
           const std::string& data, std::size_t whole) {
    put(kind), put(std::uint16_t{1}), put(std::uint32_t{64}), put(std::uint64_t{data.size()});
    put(static_cast<std::uint32_t>(stored)), put(std::uint32_t{0}), put(std::uint32_t{0});
    put(architecture), put(std::uint64_t{0}), put(flags), put(std::uint64_t{0});
    put(std::uint64_t{whole});
    entries += data;
  }
  const void* wrapper(std::uint32_t magic = 0x466243B1) {
    const std::string rest = std::move(entries);
    entries.clear();
    put(std::uint32_t{0xBA55ED50}), put(std::uint16_t{1}), put(std::uint16_t{16});
    put(std::uint64_t{rest.size()});
    entries += rest;
    head = {magic, 1, entries.data()};
    return &head;
  }
  template <class T>
  void put(T value) {
    entries.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  struct {
    std::uint32_t magic, version;
    const char* binary;
  } head{};
  std::string entries;
};

}  // namespace emulator
