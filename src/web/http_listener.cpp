#include "web/http_listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "core/start_thread.h"
#include "core/text.h"
#include "web/http_socket.h"

namespace darknet {
namespace {

using httplib::Request, httplib::Response;
using std::chrono::milliseconds;

constexpr std::size_t kMaxWaiting = 64;  // clients without a thread; after them the system's queue
constexpr milliseconds kGlance(100), kStart(1);
constexpr int kForbidden = 403, kNotAllowed = 405, kTooLarge = 413;

bool is_loopback(const ::sockaddr& a) {
  if (a.sa_family == AF_INET) {
    constexpr std::uint32_t kNet = 127;
    return ntohl(reinterpret_cast<const ::sockaddr_in&>(a).sin_addr.s_addr) >> 24 == kNet;
  }
  return a.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const ::sockaddr_in6&>(a).sin6_addr);
}

// Of a name: what it resolves to; of an address (`numeric`): itself.
bool is_loopback(const std::string& address, bool numeric) {
  ::addrinfo hints{}, *found = nullptr;
  if (numeric) hints.ai_flags = AI_NUMERICHOST;
  if (::getaddrinfo(address.c_str(), nullptr, &hints, &found) != 0) return false;
  const bool loopback = is_loopback(*found->ai_addr);
  ::freeaddrinfo(found);
  return loopback;
}

// Whether a server of this machine can have the address, by any free port of it: what is wrong with
// a port says nothing about that.
bool is_usable(const std::string& address) {
  ::addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM, hints.ai_flags = AI_PASSIVE;
  if (::getaddrinfo(address.c_str(), "0", &hints, &found) != 0) return false;
  bool usable = false;
  for (const ::addrinfo* a = found; a && !usable; a = a->ai_next) {
    const int tried = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (tried < 0) continue;
    usable = ::bind(tried, a->ai_addr, a->ai_addrlen) == 0;
    ::close(tried);
  }
  ::freeaddrinfo(found);
  return usable;
}

bool is_address(const std::string& text) {
  ::addrinfo* found = nullptr;
  if (::getaddrinfo(text.c_str(), nullptr, nullptr, &found) != 0) return false;
  ::freeaddrinfo(found);
  return true;
}

[[noreturn]] void refuse_address(const HttpAddress& address) {
  if (!is_address(address.bind))
    fail("-bind ", printable(address.bind),
         ": this is neither an address nor the name of a machine; give an address that this "
         "machine has, such as 127.0.0.1, or 0.0.0.0 for all of them");
  if (!is_usable(address.bind))
    fail("-bind ", printable(address.bind),
         ": this address cannot be used, because this machine does not have it; give another one, "
         "such as 127.0.0.1, or 0.0.0.0 for all that it has");
  fail("cannot listen on ", address.bind, ":", address.port,
       ": the port is in use or reserved; give another port (0: any free one)");
}

// "[::1]:8090" -> "::1", "localhost:8090" -> "localhost".
std::string without_port(const std::string& host) {
  if (const auto bracket = host.find(']'); host.starts_with('[') && bracket != host.npos)
    return host.substr(1, bracket - 1);
  return host.substr(0, host.find(':'));
}

bool same_name(const std::string& a, const std::string& b) {
  return ::strcasecmp(a.c_str(), b.c_str()) == 0;
}

void refuse(Response& response, int status, const char* why) {
  response.status = status;
  response.set_content(cat(why, "\n"), "text/plain");
}

bool has_body(const Request& r) {
  return r.has_header("Transfer-Encoding") ||
         (r.has_header("Content-Length") && r.get_header_value("Content-Length") != "0");
}

// Whether the request is answered here, and its body so never read.
bool refused(const Request& request, Response& response, const std::string& bind) {
  if (!is_host_allowed(request.get_header_value("Host"), bind))
    refuse(response, kForbidden, "this server answers requests to this machine's own name only");
  else if (has_body(request))
    refuse(response, kTooLarge, "nothing is uploaded here: send no body");
  else if (request.method != "GET" && request.method != "HEAD")
    refuse(response, kNotAllowed, "only GET and HEAD are answered");
  else
    return false;
  response.set_header("Allow", "GET, HEAD");
  return true;
}

// Reads and writes by HttpSocket; one request a connection, so that none holds a thread idle.
class LimitedServer : public httplib::Server {
 private:
  bool process_and_close_socket(socket_t socket) override {
    HttpSocket stream(socket);
    bool closed = false;
    return process(*this, stream, closed);
  }
  // A template, because the library's later versions want addresses too.
  template <class Self>
  static bool process(Self& self, HttpSocket& stream, bool& closed) {
    if constexpr (requires { self.process_request(stream, true, closed, nullptr); })
      return self.process_request(stream, true, closed, nullptr);
    else
      return self.process_request(stream, "", 0, "", 0, true, closed, nullptr);
  }
};

}  // namespace

std::string url_of(const std::string& bind, int port) {
  const bool ipv6 = bind.find(':') != std::string::npos;
  return cat("http://", ipv6 ? "[" + bind + "]" : bind, ":", port, "/");
}

bool is_host_allowed(const std::string& host, const std::string& bind) {
  if (host.empty() || !is_loopback(bind, false)) return true;
  const std::string name = without_port(host);
  return same_name(name, "localhost") || same_name(name, bind) || is_loopback(name, true);
}

class HttpListener::Threads : public httplib::TaskQueue {
 public:
  explicit Threads(const std::atomic<bool>& stopping) : stopping_(stopping) {
    threads_.push_back(start_thread("that answers web clients", [this] { work(); }));
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() override { end(); }

  // The library's later versions want to know whether it was taken.
  using Taken = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));
  Taken enqueue(std::function<void()> job) override {
    add(std::move(job));
    return Taken(true);
  }
  void shutdown() override { end(); }

 private:
  void add(std::function<void()> job) {
    std::unique_lock lock(mutex_);
    while (jobs_.size() >= kMaxWaiting && !stopping_) changed_.wait_for(lock, kGlance);
    jobs_.push_back(std::move(job));
    const bool all_busy = jobs_.size() > idle_;
    if (all_busy && threads_.size() < to_size(kMaxClients))
      for (std::thread& t : start_threads(1, [this] { work(); })) threads_.push_back(std::move(t));
    changed_.notify_all();
  }
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      changed_.wait(lock, [&] { return ended_ || !jobs_.empty(); });
      --idle_;
      if (jobs_.empty()) return;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      changed_.notify_all();
      lock.unlock();
      job();
      lock.lock();
    }
  }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    for (std::thread& t : threads_)
      if (t.joinable()) t.join();
  }

  const std::atomic<bool>& stopping_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

HttpListener::HttpListener(const HttpAddress& address)
    : server_(std::make_unique<LimitedServer>()) {
  // The library's own setting would share a port that another program listens on.
  server_->set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server_->new_task_queue = [this] { return threads_.release(); };  // its to delete
  server_->set_pre_routing_handler(
      [bind = address.bind](const Request& request, Response& response) {
        return refused(request, response, bind) ? httplib::Server::HandlerResponse::Handled
                                                : httplib::Server::HandlerResponse::Unhandled;
      });
  // Before a body is sent, where the client asks.
  server_->set_expect_100_continue_handler([](const Request&, Response& response) {
    refuse(response, kTooLarge, "nothing is uploaded here: send no body");
    return kTooLarge;
  });
  const auto& [bind, port] = address;
  port_ = port == 0 ? server_->bind_to_any_port(bind) : port;
  if (port_ < 0 || (port != 0 && !server_->bind_to_port(bind, port))) refuse_address(address);
}

HttpListener::~HttpListener() {
  stopping_ = true;
  server_->stop();
  if (thread_.joinable()) thread_.join();
}

void HttpListener::start() {
  threads_ = std::make_unique<Threads>(stopping_);
  thread_ = start_thread("that waits for web clients", [this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::sleep_for(kStart);
}

}  // namespace darknet
