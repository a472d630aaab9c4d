// Preloaded into a program, lets it have $FEW_THREADS threads at a time and no more, as `ulimit -u`
// does to users but not to root.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace {

std::atomic<int> running{0};

struct Work {
  void* (*function)(void*);
  void* argument;
};

void* counted(void* work) {
  const std::unique_ptr<Work> mine(static_cast<Work*>(work));
  struct End {
    ~End() { --running; }
  } const end;
  return mine->function(mine->argument);
}

}  // namespace

// By its name for the linker alone, since <pthread.h> declares it with names that are reserved.
extern "C" int create_or_refuse(pthread_t* thread, const pthread_attr_t* attributes,
                                void* (*function)(void*), void* argument) asm("pthread_create");

int create_or_refuse(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*),
                     void* argument) {
  static const auto create =
      reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  const char* max = std::getenv("FEW_THREADS");
  if (max && running >= std::atoi(max)) return EAGAIN;
  auto work = std::make_unique<Work>(Work{function, argument});
  ++running;
  const int failed = create(thread, attributes, &counted, work.get());
  if (failed)
    --running;
  else
    static_cast<void>(work.release());
  return failed;
}
