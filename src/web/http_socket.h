// A client's connection as the httplib server reads and writes it, within limits that the library
// has not: how long a request may be and how long it may take, headers included.
#pragma once
#include <httplib.h>

#include <array>
#include <chrono>
#include <string>

namespace darknet {

class HttpSocket : public httplib::Stream {
 public:
  explicit HttpSocket(socket_t socket) : socket_(socket) {}
  HttpSocket(const HttpSocket&) = delete;
  HttpSocket& operator=(const HttpSocket&) = delete;
  ~HttpSocket() override;  // closes it, once the client had the chance to read the answer

  // Some of them are virtual in later versions of the library only: hence no `override`.
  // NOLINTBEGIN(modernize-use-override)
  bool is_readable() const;
  bool wait_readable() const { return is_readable(); }
  bool is_writable() const;
  bool wait_writable() const { return is_writable(); }
  ssize_t read(char* to, std::size_t size);
  ssize_t write(const char* from, std::size_t size);
  void get_remote_ip_and_port(std::string& ip, int& port) const;
  void get_local_ip_and_port(std::string& ip, int& port) const;
  socket_t socket() const { return socket_; }
  time_t duration() const;
  // NOLINTEND(modernize-use-override)

 private:
  bool fill();

  using Clock = std::chrono::steady_clock;
  socket_t socket_;
  Clock::time_point start_ = Clock::now();
  std::array<char, 4096> buffer_{};
  std::size_t begin_ = 0, end_ = 0;  // of what is in the buffer
  std::size_t received_ = 0;
};

}  // namespace darknet
