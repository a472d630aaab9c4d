#include "losses/key_use.h"

#include "losses/class_keys.h"
#include "losses/objectness.h"

namespace darknet {
namespace {

template <class List>
KeyUse use_by(const std::string& prefix, const std::string& loss, const std::string& key) {
  KeyUse use = KeyUse::not_of_a_loss;
  for (List& l : all_of<List>()) {
    const bool has =
        with_keys(l, prefix, {}, [&](auto keys) { return keys.names().contains(key); });
    if (!has) continue;
    if (loss.empty() || name_of(l) == loss) return KeyUse::used;
    use = KeyUse::unused;
  }
  return use;
}

}  // namespace

KeyUse use_of(const Section& head, const std::string& key, const std::string& objectness) {
  Section read = head;
  const std::string loss = read.text("obj_loss", objectness);
  if (key == kGammaRampKey) {
    const auto known = value_of<LogitLoss>(loss);
    return !known || has_focusing(*known) ? KeyUse::used : KeyUse::unused;
  }
  const KeyUse use = use_by<LogitLoss>("obj_", loss, key);
  if (use != KeyUse::not_of_a_loss) return use;
  return use_by<ClassLoss>("cls_", read_class_loss_name(read, ""), key);
}

}  // namespace darknet
