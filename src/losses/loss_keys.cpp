#include "losses/loss_keys.h"

#include <algorithm>
#include <vector>

#include "core/text.h"

namespace darknet {
namespace {

template <class List>
std::vector<std::string> keys_of(const List& loss) {
  KeyDocs docs;
  std::visit([&](const auto& l) { docs.add(l); }, loss);
  std::vector<std::string> keys;
  for (const KeyDoc& doc : docs.docs()) keys.push_back(doc.key);
  return keys;
}

// "gamma=2,alpha=.25" into the section of a loss that `text` names.
template <class List>
void add_keys(Section& section, std::string_view pairs, const List& loss, const std::string& text) {
  const std::vector<std::string> known = keys_of(loss);
  while (!pairs.empty()) {
    const std::string_view pair = pairs.substr(0, pairs.find(','));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos)
      fail(printable(text), ": '", shown(pair),
           "' is not key=value, as in focal:gamma=2,alpha=.25");
    const std::string key(pair.substr(0, equals));
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      std::string list;
      for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
      fail(printable(text), ": ", name_of(loss), " has no key '", shown(key), "'; ",
           known.empty() ? "it has none at all" : "its keys are " + list);
    }
    if (section.has(key)) fail(printable(text), ": ", key, " is given twice");
    section.add(key, std::string(pair.substr(equals + 1)), 0);
    pairs.remove_prefix(std::min(pairs.size(), pair.size() + 1));
  }
}

std::string name_in(const std::string& text) { return text.substr(0, text.find(':')); }

// One of `names`, which are of the list.
template <class List>
List parse(const std::string& text, std::vector<std::string> names) {
  const std::string name = name_in(text);
  const Where where{printable(text), 0};
  Section named("loss", where), section("loss", where);
  named.add("name", name, 0);
  List loss = value_of<List>(named.word("name", "", OneOf{std::move(names)})).value();
  add_keys(section, std::string_view(text).substr(std::min(name.size() + 1, text.size())), loss,
           text);
  std::visit([&](auto& l) { section.read(l); }, loss);
  require_sound(section, "", loss);
  return loss;
}

}  // namespace

LogitLoss parse_loss(const std::string& text) {
  if (const auto named = value_of<LogitLoss>(name_in(text)); named && is_of_batch(*named))
    fail(printable(text), ": the weights of ", name_of(*named),
         " depend on the batch, so it has no curve");
  return parse<LogitLoss>(text, names_of<PointwiseLoss>());
}

LogitLoss parse_logit_loss(const std::string& text) {
  return parse<LogitLoss>(text, names_of<LogitLoss>());
}

ClassLoss parse_class_loss(const std::string& text) {
  return parse<ClassLoss>(text, names_of<ClassLoss>());
}

}  // namespace darknet
