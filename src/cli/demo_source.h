// What the command line names as the source of a demo.
#pragma once
#include <functional>
#include <memory>

#include "cli/demo.h"

namespace darknet::cli {

// `stopped` ends the waiting for a source that was lost.
std::unique_ptr<VideoSource> open_source(const DemoOptions&, std::function<bool()> stopped);

}  // namespace darknet::cli
