#include "core/start_thread.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>

#include "core/error.h"

#ifdef __SANITIZE_THREAD__
// The checker does not see the locks and barriers of libraries that were compiled without it:
// oneDNN's threads are libgomp's, OpenCV's are TBB's; FFmpeg has its own. GDAL, which OpenCV loads,
// takes two locks in both orders while it starts.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libfontconfig\nrace:libpango\nrace:libglib\n"
         "called_from_lib:libdnnl\nrace:libdnnl\nrace:libgomp\n"
         "race:libavutil\nrace:libavcodec\nrace:libavformat\nrace:libsw\n"
         "race:libopencv_dnn\ncalled_from_lib:libopencv_dnn\n"
         "race:libtbb\ncalled_from_lib:libtbb.so\n"
         "deadlock:libav\ndeadlock:libgdal\n";
}
extern "C" const char* __tsan_default_options() { return "print_suppressions=0"; }
#endif

namespace darknet {

std::thread start_thread(const std::string& purpose, std::function<void()> work) try {
  return std::thread(std::move(work));
} catch (const std::system_error& e) {
  fail("cannot start a thread ", purpose, ": ", e.code().message(),
       "; the limit on threads (ulimit -u) or the memory is used up");
}

std::vector<std::thread> start_threads(int count, const std::function<void()>& work) {
  std::vector<std::thread> threads;
  try {
    while (static_cast<int>(threads.size()) < count) threads.emplace_back(work);
  } catch (const std::system_error&) {  // those that there are do the work
  }
  return threads;
}

void for_each_in_threads(std::int64_t threads, std::int64_t count,
                         const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  std::int64_t failed_at = count;
  const auto take_part = [&] {
    for (std::int64_t i = next++; i < count; i = next++) try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed_at) failure = std::current_exception(), failed_at = i;
        next = count;
      }
  };
  std::vector<std::thread> started;
  if (std::min(threads, count) > 1)
    started = start_threads(static_cast<int>(std::min(threads, count)), take_part);
  if (started.empty()) take_part();
  for (std::thread& t : started) t.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace darknet
