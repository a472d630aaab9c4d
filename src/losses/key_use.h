// Whether a key of a detection head sets something of a loss, and whether the loss that the head
// takes has it. The keys are those that the losses declare.
#pragma once
#include <cstdint>
#include <string>

#include "cfg/section.h"

namespace darknet {

enum class KeyUse : std::uint8_t { not_of_a_loss, used, unused };

// `objectness`: the loss that the head takes where the section has no obj_loss. A key of a class
// loss counts as used where the section names none.
KeyUse use_of(const Section& head, const std::string& key, const std::string& objectness);

}  // namespace darknet
