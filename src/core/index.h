// Sizes and indices of this program are std::int64_t; those of the standard library's containers
// are not. One name for the conversion.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace darknet {

constexpr std::size_t to_size(std::int64_t i) { return static_cast<std::size_t>(i); }
// The place of an enum's value in an array with one element for each.
template <class E>
requires std::is_enum_v<E>
constexpr std::size_t to_size(E value) { return static_cast<std::size_t>(value); }

}  // namespace darknet
