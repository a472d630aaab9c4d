// What is known of the types of sections without their keys: names, and which are detection heads
// (HEAD in layers/layers.def).
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace darknet {

// "convolutional" of the alias "conv" too; "" where there is no such layer.
std::string_view layer_type_name(std::string_view type);
// Whether `type`, as a section is called, is that of a detection head.
bool is_head_type(std::string_view type);
std::vector<std::string> head_types();
// For messages: "[yolo] or [region]"; of three, "[a], [b] or [c]".
std::string head_names(std::string_view conjunction);

}  // namespace darknet
