// What is seen and found, over HTTP: a web page, images as a stream (MJPEG), findings as a stream
// of JSON. For viewers, not for archives: a client that is slow misses frames.
#pragma once
#include <memory>
#include <string>

#include "video/pipeline.h"

namespace darknet {

struct ServerOptions {
  std::string bind = "127.0.0.1";       // the address that is listened on
  int image_port = -1, json_port = -1;  // -1: none; 0: any free one
};

class FrameServer {
 public:
  explicit FrameServer(const ServerOptions&);  // throws where a port cannot be had
  ~FrameServer();
  FrameServer(const FrameServer&) = delete;
  FrameServer& operator=(const FrameServer&) = delete;

  int image_port() const;  // in use; -1: none
  int json_port() const;
  // The newest frame, for all clients. Never waits for one.
  void publish(const FinishedFrame&);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace darknet
