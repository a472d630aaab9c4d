// Keys that other Darknet forks accept and this program does not use: cfg/legacy_keys.def.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "cfg/section.h"

namespace darknet {

struct LegacyKey {
  enum class Kind : std::uint8_t { ignored, unsupported, untrainable };
  std::string_view section, key;  // section "*": every one
  float no_op;                    // the value that says nothing; NaN: there is none
  std::string_view why;
  Kind kind;
};
std::span<const LegacyKey> legacy_keys();

// Takes the legacy keys of a section called `name` (its type without aliases; "net" for [net]). Any
// but its no-op value is a warning where ignoring it changes nothing that counts, else an error; of
// an untrainable key only where the section is read in order to train.
void take_legacy_keys(Section&, std::string_view name);

}  // namespace darknet
