// Preloaded into a program, lets it start $FEW_THREADS threads and no more, as `ulimit -u` does to
// users but not to root.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*work)(void*), void* argument) {
  static std::atomic<int> started{0};
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  const char* most = std::getenv("FEW_THREADS");
  if (most && started++ >= std::atoi(most)) return EAGAIN;
  return create(thread, attributes, work, argument);
}
