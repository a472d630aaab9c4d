// Hands a thread's messages to a callback instead of the standard streams; the library (api/) uses
// it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace darknet::log {

enum class Level : std::uint8_t { info, warning, error };

// While one lives, what its thread logs (core/log.h) goes to `take` and nowhere else; progress
// lines are dropped. Captures nest. `take` must outlive it and must not throw.
class Capture {
 public:
  using Take = std::function<void(Level, const std::string&)>;
  explicit Capture(const Take& take);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

 private:
  const Take* outer_;
};

// Whether one lives in this thread.
bool is_captured();

}  // namespace darknet::log
