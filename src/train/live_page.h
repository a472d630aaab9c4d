// Serves the page of report/training_page.h over HTTP during a training run. The training thread
// only stores its figures here; charts and images are drawn when a browser asks for them.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "train/observer.h"
#include "web/http_address.h"

namespace darknet {

class LivePage final : public TrainingObserver {
 public:
  // Starts to serve; throws where the port cannot be opened.
  LivePage(const HttpAddress&, const std::string& title);
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;
  ~LivePage() override;
  int port() const;
  // Requests wait while the lock is held, and the training run does not wait for them.
  std::unique_lock<std::mutex> hold_drawing();

  // Before the first iteration. `names`: of the classes; `past`: the lines of the log that a
  // resumed run keeps.
  void begin(std::vector<std::string> names, const std::string& past);
  void iteration(const IterationReport&) override;
  void finished(bool complete) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Opens the page and logs its address; null where `http` has no port.
std::unique_ptr<LivePage> open_page(const HttpAddress& http, const std::string& title);

}  // namespace darknet
