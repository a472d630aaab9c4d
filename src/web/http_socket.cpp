#include "web/http_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/index.h"

namespace darknet {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxRequest = 32 << 10;  // bytes; a browser's headers take one or two kB
constexpr milliseconds kRequestTime(5000);     // for all of a request
constexpr milliseconds kStalled(2000);         // without taking a byte: the client is let go
constexpr milliseconds kFarewell(200);

// The events that came within `max`; 0: none.
int events_of(socket_t socket, int events, milliseconds max) {
  ::pollfd asked{.fd = socket, .events = static_cast<short>(events), .revents = 0};
  const int found = ::poll(&asked, 1, static_cast<int>(std::max(max, milliseconds(0)).count()));
  return found > 0 ? asked.revents : 0;
}

}  // namespace

// Where unread bytes are left, closing discards the answer on its way (TCP's reset).
HttpSocket::~HttpSocket() {
  ::shutdown(socket_, SHUT_WR);
  const auto until = Clock::now() + kFarewell;
  for (std::size_t left = kMaxRequest; left > 0;) {
    const auto time = std::chrono::duration_cast<milliseconds>(until - Clock::now());
    if (time.count() <= 0 || events_of(socket_, POLLIN, time) == 0) break;
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) break;
    left -= std::min(left, to_size(got));
  }
  ::close(socket_);
}

bool HttpSocket::is_readable() const {
  const auto left = std::chrono::duration_cast<milliseconds>(start_ + kRequestTime - Clock::now());
  return begin_ < end_ || (left.count() > 0 && events_of(socket_, POLLIN, left) != 0);
}

// A client that sends no more may still read (`nc -N`). One that is gone answers what it is sent
// with a reset, which then stands among the events.
bool HttpSocket::is_writable() const { return events_of(socket_, POLLOUT, kStalled) == POLLOUT; }

bool HttpSocket::fill() {
  if (received_ >= kMaxRequest || !is_readable()) return false;
  const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
  begin_ = 0, end_ = got > 0 ? to_size(got) : 0;
  received_ += end_;
  return end_ > 0;
}

ssize_t HttpSocket::read(char* to, std::size_t size) {
  if (begin_ == end_ && !fill()) return -1;
  const std::size_t count = std::min(size, end_ - begin_);
  std::memcpy(to, buffer_.data() + begin_, count);
  begin_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t HttpSocket::write(const char* from, std::size_t size) {
  return is_writable() ? ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
}

// Nobody here asks who the client is.
void HttpSocket::get_remote_ip_and_port(std::string&, int&) const {}
void HttpSocket::get_local_ip_and_port(std::string&, int&) const {}
time_t HttpSocket::duration() const {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start_).count();
}

}  // namespace darknet
