// An object in AlexeyAB's JSON: of -out files and of the records of videos.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "detect/box.h"

namespace darknet {

// One entry of "objects".
nlohmann::json darknet_object(const Detection&, const std::vector<std::string>& names);

}  // namespace darknet
