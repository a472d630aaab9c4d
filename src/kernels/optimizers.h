// The closed list of optimizers. A new one is a header like kernels/sgd.h and its name in the list.
#pragma once
#include <algorithm>
#include <iterator>
#include <string_view>
#include <variant>
#include <vector>
#include "core/named_list.h"
#include "kernels/adam.h"
#include "kernels/sgd.h"

namespace darknet {

using OptimizerRule = std::variant<optimizers::Sgd, optimizers::Adam>;

namespace optimizers {
template <class List>
struct MaxStates;
template <class... Rules>
struct MaxStates<std::variant<Rules...>> {
  static constexpr std::size_t value = std::max({std::size(Rules::states)...});
};
}  // namespace optimizers
inline constexpr std::size_t kMaxOptimizerStates = optimizers::MaxStates<OptimizerRule>::value;

// The names of what a rule keeps of every weight.
inline std::vector<std::string_view> states_of(const OptimizerRule& rule) {
  return std::visit(
      [](const auto& r) {
        return std::vector<std::string_view>(std::begin(r.states), std::end(r.states));
      },
      rule);
}

}  // namespace darknet
