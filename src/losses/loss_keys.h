// Reading a loss of a list by its name, with the keys that it declares in fields(). Host only.
#pragma once
#include <concepts>
#include <set>
#include <string>
#include <string_view>
#include "cfg/section.h"
#include "losses/class_loss.h"
#include "losses/losses.h"

namespace darknet {

// A loss's fields as keys of a section: under a prefix, without those in `but`.
template <class L>
struct KeysOfLoss {
  L& loss;
  const std::string& prefix;
  const std::set<std::string>& but;
  template <class V>
  void fields(V&& v) {
    loss.fields(
        [&](std::string_view key, auto& member, const auto& allowed, std::string_view help) {
          const std::string name = prefix + std::string(key);
          if (!but.contains(name)) v(name, member, allowed, cat(L::name, ": ", help));
        });
  }
  // Their names.
  std::set<std::string> names() {
    std::set<std::string> all;
    fields([&](const std::string& key, const auto&, const auto&, const auto&) { all.insert(key); });
    return all;
  }
};

// f(KeysOfLoss) of whichever loss it is.
template <class List, class F>
decltype(auto) with_keys(List& loss, const std::string& prefix, const std::set<std::string>& but,
                         F f) {
  return std::visit(
      [&](auto& l) {
        return f(KeysOfLoss<std::remove_reference_t<decltype(l)>>{l, prefix, but});
      },
      loss);
}

// Throws where the values of a loss's own keys do not go together.
template <class List>
void require_sound(const Section& section, const std::string& prefix, const List& loss) {
  std::visit(
      [&](const auto& l) {
        if constexpr (requires { l.error(); })
          if (const auto error = l.error())
            section.fail_between({prefix + std::string(error->key), prefix + "loss"},
                                 cat(l.name, ' ', error->why));
      },
      loss);
}

// The loss called `name`, which the list has, with its keys <prefix>gamma, <prefix>alpha, ... of
// the section. A key of another loss gives a warning, so that sweeps can keep it, and must be
// sound.
template <class List>
List read_loss(Section& section, const std::string& prefix, std::string_view name) {
  std::set<std::string> known;
  List chosen = value_of<List>(name).value();
  with_keys(chosen, prefix, {}, [&](auto keys) {
    section.read_training(keys);
    known = keys.names();
  });
  for (List& l : all_of<List>())
    with_keys(l, prefix, known, [&](auto keys) {
      section.read_training(keys);
      for (const std::string& key : keys.names()) {
        if (section.training()) section.ignore(key, cat("the loss ", name, " does not use it"));
        known.insert(key);
      }
    });
  if (section.training()) require_sound(section, prefix, chosen);
  return chosen;
}

// The keys of every loss of the list, for `darknet help`.
template <class List>
void describe_losses(KeyDocs& docs, const std::string& prefix) {
  for (List& loss : all_of<List>()) with_keys(loss, prefix, {}, [&](auto keys) { docs.add(keys); });
}

// A loss as a command line names it, with its own keys: focal, or focal:gamma=2,alpha=.25. Throws
// on anything else, naming `text`. The first is of a logit by itself.
LogitLoss parse_loss(const std::string& text);
LogitLoss parse_logit_loss(const std::string& text);
ClassLoss parse_class_loss(const std::string& text);

}  // namespace darknet
