// Clients of the servers under test. Needs the library's flags (tests/CMakeLists.txt).
#pragma once
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>

#include "core/index.h"

namespace darknet::testing_files {

inline httplib::Client client_of(int port) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(std::chrono::seconds(20));
  return client;
}

// A connection that says what it likes, which a client of the library would not send.
class RawClient {
 public:
  RawClient(int port, const std::string& text) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int little = 4096;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    ::sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(socket_, reinterpret_cast<const ::sockaddr*>(&to), sizeof to) == 0;
    connected = connected && send(text);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(socket_); }
  bool send(const std::string& text) const {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  void end_sending() const { ::shutdown(socket_, SHUT_WR); }
  // What comes until the server closes, or until `enough` bytes.
  std::string answer(std::size_t enough = 1 << 20) const {
    std::string all;
    std::array<char, 4096> some{};
    while (all.size() < enough) {
      const ssize_t got = ::recv(socket_, some.data(), some.size(), 0);
      if (got <= 0) break;
      all.append(some.data(), to_size(got));
    }
    return all;
  }
  bool connected = false;

 private:
  int socket_;
};

}  // namespace darknet::testing_files
