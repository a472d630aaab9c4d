// How the process ends where a thread may still be in a library, from which nothing brings it back.
#pragma once
#include <atomic>

namespace darknet {

// Set: the program ends without destructors of static objects and exit handlers, which would take
// from that thread what it uses, or wait for it.
inline std::atomic<bool> ends_without_destructors = false;

}  // namespace darknet
