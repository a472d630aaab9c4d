// Sizes and indices of this program are std::int64_t; those of the standard library's containers
// are not. One name for the way between them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace darknet {

constexpr std::size_t to_size(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace darknet
