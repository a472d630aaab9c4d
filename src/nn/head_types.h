// Which sections are detection heads.
#pragma once
#include <string_view>

namespace darknet {

// Whether `type`, as a section is called, is that of a detection head (layers/layers.def).
bool is_head_type(std::string_view type);

}  // namespace darknet
