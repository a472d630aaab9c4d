// A live source that is opened again when it is lost.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "image/video.h"

namespace darknet {

struct ReconnectOptions {
  std::string name;               // for messages
  double patience = 30;           // seconds without a frame until it is given up; 0: at once
  std::function<bool()> stopped;  // ends the waiting
};

// Opens the source at once, and throws where that fails. Its read() waits with growing pauses while
// the source is lost, throws once patience is over, and gives false only when stopped.
std::unique_ptr<VideoSource> reconnecting(std::function<std::unique_ptr<VideoSource>()> open,
                                          ReconnectOptions);

}  // namespace darknet
