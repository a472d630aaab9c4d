// What the command line names as the source of a demo.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "cli/demo.h"
#include "core/protected_files.h"

namespace darknet::cli {

enum class SourceKind : std::uint8_t { camera, stream, pipeline, video, images, scene };
SourceKind kind_of_source(const DemoOptions&);

// `stopped` ends the waiting for a source that is not there yet, and then this returns null, or
// that was lost.
std::unique_ptr<VideoSource> open_source(const DemoOptions&, const std::function<bool()>& stopped);
// Its files, which no output may replace.
void add_sources(const DemoOptions&, ProtectedFiles&);

}  // namespace darknet::cli
