// The values of an enum and their names in one table, which stands next to the enum as a function
// that argument-dependent lookup finds:
//   enum class Axis : std::uint8_t { rows, columns };
//   constexpr auto choices(Axis) {
//     return std::to_array<Named<Axis>>({{"rows", Axis::rows}, {"columns", Axis::columns}});
//   }
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace darknet {

template <class E>
struct Named {
  std::string_view name;
  E value;
};

template <class E>
concept HasChoices = std::is_enum_v<E> && requires(E e) {
  choices(e);
};

// Empty for a value without a name, which no text asks for.
template <HasChoices E>
constexpr std::string_view name_of(E value) {
  for (const Named<E>& n : choices(value))
    if (n.value == value) return n.name;
  return {};
}

template <HasChoices E>
constexpr std::optional<E> value_of(std::string_view name) {
  for (const Named<E>& n : choices(E{}))
    if (n.name == name) return n.value;
  return std::nullopt;
}

// All names, in the order of the table.
template <HasChoices E>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  for (const Named<E>& n : choices(E{})) names.emplace_back(n.name);
  return names;
}

}  // namespace darknet
