// One port of a web server (video/server.h, train/live_page.h, web/folder_server.h): its threads,
// made when clients come, and which requests are answered at all. Names httplib; included by the
// servers alone.
#pragma once
#include <httplib.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "web/http_address.h"

namespace darknet {

// Clients at work at once, each on a thread; of these only half may hold a stream, so that the
// page and the figures are answered whoever watches. More have to wait.
inline constexpr int kMaxClients = 64, kMaxStreams = kMaxClients / 2;

// Whether a server that listens on `bind` answers a request to `host`, as browsers name it (with
// or without a port; "": unknown). On this machine's own addresses only their names are: another
// name means a foreign web page that had its name resolve to here (DNS rebinding).
bool is_host_allowed(const std::string& host, const std::string& bind);

class HttpListener {
 public:
  explicit HttpListener(const HttpAddress&);  // throws where the port cannot be had
  HttpListener(const HttpListener&) = delete;
  HttpListener& operator=(const HttpListener&) = delete;
  ~HttpListener();
  void start();  // once the answers are set; throws where no thread can be had
  int port() const { return port_; }
  httplib::Server& server() { return *server_; }

 private:
  class Threads;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<httplib::Server> server_;
  std::unique_ptr<Threads> threads_;  // until the server takes them
  int port_ = -1;
  std::thread thread_;  // waits for clients
};

}  // namespace darknet
