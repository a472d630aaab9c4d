#include "core/http_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

// httplib matches the status line of an answer by std::regex, whose recursion takes hundreds of
// bytes of stack for each character: a line of a megabyte would end the program. Behind an answer
// with status 100 it matches the next line in the same way. From 0.20.1 on it limits lines itself.
#if !defined(CPPHTTPLIB_MAX_LINE_LENGTH)
constexpr std::size_t kMaxStatusLine = 2u << 10, kMaxHead = 64u << 10;  // bytes, with line ends

// Of what a server sends, the lines up to the blank one, as httplib divides them.
class Head {
 public:
  // What is wrong with them so far; "": nothing.
  std::string take(const char* bytes, std::size_t n) {
    constexpr std::size_t kStatus = std::string_view("HTTP/1.1 ").size();
    for (std::size_t i = 0; i < n && !ended_; ++i) {
      if (received_ == kStatus && in_status_line_ && bytes[i] == '1')
        return "its status is one of 100 to 199, which no request asked for";
      ++received_, ++line_;
      if (in_status_line_ && line_ > kMaxStatusLine)
        return cat("its status line exceeds ", kMaxStatusLine, " bytes");
      if (received_ > kMaxHead) return cat("its headers exceed ", kMaxHead, " bytes");
      if (bytes[i] == '\n') {
        ended_ = is_blank(line_, before_);
        in_status_line_ = false, line_ = 0;
      }
      before_ = bytes[i];
    }
    return "";
  }

 private:
  static bool is_blank(std::size_t bytes, char before) {
#if defined(CPPHTTPLIB_ALLOW_LF_AS_LINE_TERMINATOR)
    if (bytes == 1) return true;
#endif
    return bytes == 2 && before == '\r';
  }
  bool in_status_line_ = true, ended_ = false;
  std::size_t received_ = 0, line_ = 0;  // line_: bytes of this line
  char before_ = 0;                      // the last byte
};

// Why the answer to the last request was not read on.
struct Refusal {
  virtual ~Refusal() = default;
  std::string why;
};

#if defined(CPPHTTPLIB_OPENSSL_SUPPORT)
using Tls = SSL;
int read_tls(SSL* tls, char* to, std::size_t n) { return ::SSL_read(tls, to, static_cast<int>(n)); }
int write_tls(SSL* tls, const char* from, std::size_t n) {
  return ::SSL_write(tls, from, static_cast<int>(std::min<std::size_t>(n, 1u << 20)));
}
bool has_bytes(const SSL* tls) { return tls && ::SSL_pending(tls) > 0; }
#else
struct Tls {};
int read_tls(Tls*, char*, std::size_t) { return -1; }
int write_tls(Tls*, const char*, std::size_t) { return -1; }
bool has_bytes(const Tls*) { return false; }
#endif

// A connection for one request and its answer.
class AnswerStream final : public httplib::Stream {
 public:
  AnswerStream(socket_t socket, Tls* tls, std::chrono::milliseconds silent, Refusal& refusal)
      : socket_(socket), tls_(tls), silent_(silent), refusal_(refusal) {}

  // Some of them are virtual in later versions of the library only: hence no `override`.
  // NOLINTBEGIN(modernize-use-override)
  bool is_readable() const { return begin_ < end_ || has_bytes(tls_) || wait_for(POLLIN); }
  bool wait_readable() const { return is_readable(); }
  bool is_writable() const { return wait_for(POLLOUT); }
  bool wait_writable() const { return is_writable(); }
  ssize_t read(char* to, std::size_t size) {
    if (const ssize_t got = begin_ == end_ ? fill() : 1; got <= 0) return got;
    const std::size_t n = std::min(size, end_ - begin_);
    std::memcpy(to, buffer_.data() + begin_, n);
    begin_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* from, std::size_t size) {
    if (!is_writable()) return -1;
    const ssize_t sent =
        tls_ ? write_tls(tls_, from, size) : ::send(socket_, from, size, MSG_NOSIGNAL);
    return sent > 0 ? sent : -1;
  }
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  socket_t socket() const { return socket_; }
  time_t duration() const { return 0; }
  // NOLINTEND(modernize-use-override)

 private:
  bool wait_for(int event) const {
    ::pollfd asked{.fd = socket_, .events = static_cast<short>(event), .revents = 0};
    int found = -1;
    do {
      found = ::poll(&asked, 1, static_cast<int>(silent_.count()));
    } while (found < 0 && errno == EINTR);
    return found > 0;
  }
  // 0: the server has closed the connection.
  ssize_t fill() {
    if (!is_readable()) return -1;
    const ssize_t got = tls_ ? read_tls(tls_, buffer_.data(), buffer_.size())
                             : ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return got;
    begin_ = 0, end_ = static_cast<std::size_t>(got);
    refusal_.why = head_.take(buffer_.data(), end_);
    return refusal_.why.empty() ? got : -1;
  }

  socket_t socket_;
  Tls* tls_;
  std::chrono::milliseconds silent_;
  Refusal& refusal_;
  Head head_;
  std::array<char, 16u << 10> buffer_{};
  std::size_t begin_ = 0, end_ = 0;  // of what is in the buffer
};

template <class Client>
class LimitedClient final : public Client, public Refusal {
 public:
  LimitedClient(const HttpServer& s, std::chrono::seconds silent)
      : Client(s.name, s.port), silent_(silent) {}

 private:
  using Socket = typename Client::Socket;
  bool process_socket(const Socket& socket,
                      std::function<bool(httplib::Stream&)> callback) override {
    why.clear();
    AnswerStream stream(socket.sock, tls_of(socket), silent_, *this);
    return callback(stream);
  }
  template <class S>
  static Tls* tls_of(const S& socket) {
    if constexpr (requires { socket.ssl; })
      return socket.ssl;
    else
      return nullptr;
  }
  std::chrono::seconds silent_;
};
#endif

template <class Client>
std::unique_ptr<httplib::ClientImpl> make(const HttpServer& server,
                                          [[maybe_unused]] std::chrono::seconds silent) {
#if defined(CPPHTTPLIB_MAX_LINE_LENGTH)
  return std::make_unique<Client>(server.name, server.port);
#else
  return std::make_unique<LimitedClient<Client> >(server, silent);
#endif
}

}  // namespace

std::string http_refusal([[maybe_unused]] const httplib::ClientImpl& client) {
#if !defined(CPPHTTPLIB_MAX_LINE_LENGTH)
  if (const auto* const refusal = dynamic_cast<const Refusal*>(&client)) return refusal->why;
#endif
  return "";
}

// httplib throws on a port that no integer holds.
HttpServer http_server_of(std::string_view url) {
  constexpr std::string_view kTls = "https://", kScheme = "://";
  constexpr std::size_t kMaxName = 253;  // RFC 1035, without the dot at its end
  constexpr int kMaxPort = 65535, kPort = 80, kTlsPort = 443;
  HttpServer server{.tls = url.starts_with(kTls)};
#if !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
  if (server.tls)
    fail(shown(url),
         ": this build reads http:// only: its cpp-httplib was compiled without OpenSSL");
#endif
  const auto begin = url.find(kScheme) + kScheme.size();
  const std::string_view text = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  if (const auto at = text.rfind('@'); at != text.npos)
    fail(shown(cat(url.substr(0, begin), url.substr(begin + at + 1))),
         ": user names and passwords (USER:PASSWORD@HOST) are not sent; use a server or a signed "
         "URL that needs none");
  const auto bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == text.npos) fail(shown(url), ": the [ of its address has no ]");
  if (bracket > 0 && bracket + 1 < text.size() && text[bracket + 1] != ':')
    fail(shown(url), ": behind the ] of its address only a port may stand, as in [::1]:8000");
  const auto colon = text.find(':', bracket);
  server.name = bracket > 0 ? text.substr(1, bracket - 1) : text.substr(0, colon);
  server.port = server.tls ? kTlsPort : kPort;
  if (server.name.empty()) fail(shown(url), ": names no server");
  if (server.name.size() > kMaxName)
    fail(shown(url), ": the name of its server exceeds ", kMaxName, " bytes");
  if (colon != text.npos && (!read_number(text.substr(colon + 1), server.port) || server.port < 1 ||
                             server.port > kMaxPort))
    fail(shown(url), ": its port is not a number from 1 to ", kMaxPort);
  return server;
}

std::unique_ptr<httplib::ClientImpl> make_http_client(const HttpServer& server,
                                                      std::chrono::seconds silent) {
#if defined(CPPHTTPLIB_OPENSSL_SUPPORT)
  if (server.tls) return make<httplib::SSLClient>(server, silent);
#endif
  return make<httplib::ClientImpl>(server, silent);
}

}  // namespace darknet
