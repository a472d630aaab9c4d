#include "core/start_thread.h"

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

}  // namespace darknet
