// A training run over HTTP while it goes: the page of report/training_page.h. The training only
// leaves its figures here; charts and images are drawn when somebody looks.
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
  // Serves from now on; throws where the port cannot be had.
  LivePage(const HttpAddress&, const std::string& title);
  LivePage(const LivePage&) = delete;
  LivePage& operator=(const LivePage&) = delete;
  ~LivePage() override;
  int port() const;
  // While it is locked whoever looks waits; the run must not.
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

// Where the address has a port, which is said; else null.
std::unique_ptr<LivePage> open_page(const HttpAddress&, const std::string& title);

}  // namespace darknet
