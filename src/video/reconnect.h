// A live source that is waited for, and opened again when it is lost.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "image/video.h"

namespace darknet {

struct ReconnectOptions {
  std::string name;               // for messages
  double patience = 30;           // seconds without it until it is given up; 0: at once
  std::function<bool()> stopped;  // ends the waiting
};

// The source once it is there: tries again with growing pauses, and shows why it waits and for how
// long it has. Throws an UnusableSource at once, and what the last try threw once `patience` is
// over. Null when stopped.
std::unique_ptr<VideoSource> wait_for_source(
    const std::function<std::unique_ptr<VideoSource>()>& open, const ReconnectOptions&);

// Opens the source at once, and throws where that fails. Its read() waits with growing pauses while
// the source is lost, throws once patience is over or an UnusableSource at once, and gives false
// only when stopped.
std::unique_ptr<VideoSource> reconnecting(std::function<std::unique_ptr<VideoSource>()> open,
                                          ReconnectOptions);

}  // namespace darknet
