// What a training run trains.
#pragma once
#include <cstdint>

namespace darknet {

enum class TaskKind : std::uint8_t { detection, classification };

}  // namespace darknet
