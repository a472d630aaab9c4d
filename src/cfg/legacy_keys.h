// Keys that other Darknets accept and this program does not use: cfg/legacy_keys.def.
#pragma once
#include <string_view>
#include "cfg/section.h"

namespace darknet {

// Takes the legacy keys of a section called `name` (its type without aliases; "net" for [net]): a
// warning where ignoring them changes nothing that counts, an error where it would and they are on.
void take_legacy_keys(Section&, std::string_view name);

}  // namespace darknet
