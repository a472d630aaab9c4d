#include "losses/losses.h"

#include <algorithm>
#include <set>

namespace darknet {
namespace {

template <std::size_t... I>
std::vector<LogitLoss> all_losses(std::index_sequence<I...>) {
  return {LogitLoss(std::in_place_index<I>)...};
}

std::vector<LogitLoss> all_losses() {
  return all_losses(std::make_index_sequence<std::variant_size_v<LogitLoss>>());
}

// A loss's fields under prefixed names.
template <class L>
struct Prefixed {
  L& loss;
  std::string prefix;
  template <class V>
  void fields(V&& v) {
    loss.fields(
        [&](std::string_view key, auto& member, const auto& allowed, std::string_view help) {
          v(prefix + std::string(key), member, allowed, cat(L::name, ": ", help));
        });
  }
};

void read_keys(Section& section, LogitLoss& loss, const std::string& prefix) {
  std::visit(
      [&](auto& l) {
        Prefixed<std::remove_reference_t<decltype(l)>> keys{l, prefix};
        section.read_training(keys);
      },
      loss);
}

template <class F>
void visit_keys(LogitLoss& loss, const std::string& prefix, F f) {
  std::visit(
      [&](auto& l) {
        l.fields([&](std::string_view key, auto&, const auto&, std::string_view) {
          f(prefix + std::string(key));
        });
      },
      loss);
}

}  // namespace

std::vector<std::string> logit_loss_names() {
  std::vector<std::string> names;
  for (const LogitLoss& l : all_losses()) names.emplace_back(name_of(l));
  return names;
}

std::string_view name_of(const LogitLoss& loss) {
  return std::visit([](const auto& l) { return l.name; }, loss);
}

LogitLoss read_logit_loss(Section& section, const std::string& prefix, std::string_view name) {
  std::set<std::string> known;
  LogitLoss chosen;
  for (LogitLoss& l : [] { return all_losses(); }()) {
    visit_keys(l, prefix, [&](const std::string& key) { known.insert(key); });
    read_keys(section, l, prefix);  // of all: what the chosen loss does not use must be sound too
    if (name_of(l) == name) chosen = l;
  }
  if (!section.training()) return chosen;
  visit_keys(chosen, prefix, [&](const std::string& key) { known.erase(key); });
  for (const std::string& key : known)
    section.ignore(key, cat("the loss ", name, " does not use it"));
  if (const auto* q = std::get_if<losses::QualityFocal>(&chosen); q && q->gamma > 0 && q->gamma < 1)
    section.fail_between(
        {prefix + "gamma", prefix + "loss"},
        "quality_focal needs 0 or at least 1: between them its gradient is infinite at p = t");
  return chosen;
}

void describe_logit_losses(KeyDocs& docs, const std::string& prefix) {
  for (LogitLoss& loss : [] { return all_losses(); }())
    std::visit(
        [&](auto& l) {
          docs.add(Prefixed<std::remove_reference_t<decltype(l)>>{l, prefix});
        },
        loss);
}

}  // namespace darknet
