// The closed set of losses on one logit, chosen by name in the cfg. A new loss is a header like
// focal.h and its name in the list below; parser, help, CPU, CUDA and tests follow.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
#include "losses/balanced_ce.h"
#include "losses/cross_entropy.h"
#include "losses/focal.h"
#include "losses/mse.h"
#include "losses/quality_focal.h"

namespace darknet {

using LogitLoss = std::variant<losses::Mse, losses::CrossEntropy, losses::BalancedCrossEntropy,
                               losses::Focal, losses::QualityFocal>;

template <class List, class... More>
struct ExtendedList;
template <class... Known, class... More>
struct ExtendedList<std::variant<Known...>, More...> {
  using type = std::variant<Known..., More...>;
};
// A list of losses that continues another one.
template <class List, class... More>
using Extended = typename ExtendedList<List, More...>::type;

template <class... L>
std::string_view name_of(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return l.name; }, loss);
}
template <class... L>
LossTraits traits_of(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return l.traits; }, loss);
}

// Every loss of a list, with the default values of its keys.
template <class List>
std::vector<List> all_losses() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return std::vector<List>{List(std::in_place_index<I>)...};
  }
  (std::make_index_sequence<std::variant_size_v<List>>());
}
template <class List>
std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const List& l : all_losses<List>()) names.emplace_back(name_of(l));
  return names;
}

}  // namespace darknet
