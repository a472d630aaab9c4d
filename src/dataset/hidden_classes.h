// Darknet: classes whose names begin with "dont_show" are neither drawn nor printed, nor do they
// stand in AlexeyAB's JSON.
#pragma once
#include <string>
#include <vector>

#include "core/index.h"
#include "detect/box.h"

namespace darknet {

inline void remove_hidden(std::vector<Detection>& found, const std::vector<std::string>& names) {
  std::erase_if(found, [&](const Detection& d) {
    return names[to_size(d.class_id)].starts_with("dont_show");
  });
}

}  // namespace darknet
