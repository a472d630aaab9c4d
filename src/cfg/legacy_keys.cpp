#include "cfg/legacy_keys.h"

#include <limits>

namespace darknet {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

constexpr LegacyKey kLegacyKeys[] = {
#define IGNORED(section, key, no_op, why) {section, #key, no_op, why, LegacyKey::Kind::ignored},
#define UNSUPPORTED(section, key, why) {section, #key, 0, why, LegacyKey::Kind::unsupported},
#define UNTRAINABLE(section, key, why) {section, #key, 0, why, LegacyKey::Kind::untrainable},
#include "cfg/legacy_keys.def"
#undef IGNORED
#undef UNSUPPORTED
#undef UNTRAINABLE
};

}  // namespace

std::span<const LegacyKey> legacy_keys() { return kLegacyKeys; }

void take_legacy_keys(Section& section, std::string_view name) {
  for (const LegacyKey& k : kLegacyKeys) {
    if ((k.section != name && (k.section != "*" || name == "net")) || !section.has(k.key)) continue;
    if (section.equals(k.key, k.no_op)) continue;
    if (k.kind == LegacyKey::Kind::ignored)
      section.ignore(k.key, k.why);
    else if (k.kind == LegacyKey::Kind::unsupported)
      section.fail(k.key, cat("not supported: ", k.why));
    else if (section.training())
      section.fail(k.key, cat("not supported in training: ", k.why,
                              "; remove the key to train "
                              "without it"));
  }
}

}  // namespace darknet
