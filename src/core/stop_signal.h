// The signal that asked this process to stop, for code that waits for a server or for another
// process. The signal handler (train/interrupt.h) sets it.
#pragma once
#include <atomic>

namespace darknet {

inline std::atomic<int> stop_signal = 0;  // 0: none; written by a signal handler
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace darknet
