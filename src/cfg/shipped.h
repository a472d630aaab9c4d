// The files of cfg/, compiled in, so that an installed program knows them wherever it runs.
#pragma once
#include <string_view>

namespace darknet {

// The text of cfg/NAME.cfg; throws where none is shipped under that name.
std::string_view shipped_cfg(std::string_view name);

}  // namespace darknet
