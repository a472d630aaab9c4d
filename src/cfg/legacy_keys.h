// Keys that other Darknets accept and this program does not use: cfg/legacy_keys.def.
#pragma once
#include <span>
#include <string_view>

#include "cfg/section.h"

namespace darknet {

struct LegacyKey {
  std::string_view section, key, why;  // section "*": every one
  bool harmless;                       // a warning; else an error unless 0
};
std::span<const LegacyKey> legacy_keys();

// Takes the legacy keys of a section called `name` (its type without aliases; "net" for [net]): a
// warning where ignoring them changes nothing that counts, an error where it would and they are on.
void take_legacy_keys(Section&, std::string_view name);

}  // namespace darknet
