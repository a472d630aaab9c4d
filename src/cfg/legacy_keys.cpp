#include "cfg/legacy_keys.h"

namespace darknet {
namespace {

constexpr LegacyKey kLegacyKeys[] = {
#define IGNORED(section, key, why) {section, #key, why, true},
#define UNSUPPORTED(section, key, why) {section, #key, why, false},
#include "cfg/legacy_keys.def"
#undef IGNORED
#undef UNSUPPORTED
};

}  // namespace

std::span<const LegacyKey> legacy_keys() { return kLegacyKeys; }

void take_legacy_keys(Section& section, std::string_view name) {
  for (const LegacyKey& k : kLegacyKeys) {
    if ((k.section != name && (k.section != "*" || name == "net")) || !section.has(k.key)) continue;
    if (k.harmless)
      section.ignore(k.key, k.why);
    else if (section.real(k.key, 0) != 0)
      section.fail(k.key, cat("not supported: ", k.why));
  }
}

}  // namespace darknet
