// A closed list of structs that a cfg chooses from by name (activations, losses, optimizers): a
// std::variant whose alternatives have `static constexpr std::string_view name`, and `alias` where
// other programs have another name for it. All that a new one needs is its place in the list.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace darknet {

template <class List>
concept NamedList = requires {
  typename std::variant_alternative_t<0, List>;
}
&&requires { std::variant_alternative_t<0, List>::name; };

template <class List>
struct ListTraits;
template <class... Known>
struct ListTraits<std::variant<Known...>> {
  template <class... More>
  using Extended = std::variant<Known..., More...>;
  static constexpr bool distinct_names() {
    std::array<std::string_view, sizeof...(Known)> names{Known::name...};
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) == names.end();
  }
};
// A list that continues another one.
template <class List, class... More>
using Extended = typename ListTraits<List>::template Extended<More...>;

// Every alternative with its defaults, in the order of the list.
template <NamedList List>
auto all_of() {
  static_assert(ListTraits<List>::distinct_names(), "two alternatives of a list have one name");
  return []<std::size_t... i>(std::index_sequence<i...>) {
    return std::array{List(std::in_place_index<i>)...};
  }
  (std::make_index_sequence<std::variant_size_v<List>>());
}

template <NamedList List>
std::string_view name_of(const List& one) {
  return std::visit([](const auto& alternative) { return alternative.name; }, one);
}

// "" where it has none.
template <NamedList List>
std::string_view alias_of(const List& one) {
  return std::visit(
      []<class T>(const T&) -> std::string_view {
        if constexpr (requires { T::alias; }) return T::alias;
        return {};
      },
      one);
}

// Each name, followed by its alias.
template <NamedList List>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  for (const List& one : all_of<List>()) {
    names.emplace_back(name_of(one));
    if (!alias_of(one).empty()) names.emplace_back(alias_of(one));
  }
  return names;
}

// With its defaults; nothing where no alternative has the name or the alias.
template <NamedList List>
std::optional<List> value_of(std::string_view name) {
  for (const List& one : all_of<List>())
    if (name_of(one) == name || (!name.empty() && alias_of(one) == name)) return one;
  return std::nullopt;
}

}  // namespace darknet
