// The parts of a file that a web server or an object store sends in answer to range requests.
#include <netdb.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/broken_pipe.h"
#include "core/byte_source.h"
#include "core/error.h"
#include "core/http_client.h"
#include "core/http_deadlines.h"
#include "core/log.h"
#include "core/number.h"
#include "core/stop_signal.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr int kMaxRedirects = 10, kConnectSeconds = 10, kSilentSeconds = 20;
using HttpClock = std::chrono::steady_clock;

// Connections to one server, each used by one thread at a time and kept open between requests.
class Connections {
 public:
  using Client = std::unique_ptr<httplib::ClientImpl>;
  Connections() = default;
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;
  ~Connections() {
    const WithoutSigpipe to_closed_ones;  // TLS says good-bye
    idle_.clear();
  }
  Client take(const std::string& server) {
    {
      const std::lock_guard lock(mutex_);
      std::vector<Client>& idle = idle_[server];
      if (!idle.empty()) {
        Client client = std::move(idle.back());
        idle.pop_back();
        return client;
      }
    }
    auto client = make_http_client(http_server_of(server), std::chrono::seconds(kSilentSeconds));
    client->set_keep_alive(true);
    client->set_tcp_nodelay(true);
    client->set_connection_timeout(kConnectSeconds);
    client->set_read_timeout(kSilentSeconds);
    return client;
  }
  void give_back(const std::string& server, Client client) {
    const std::lock_guard lock(mutex_);
    idle_[server].push_back(std::move(client));
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<Client>> idle_;
};

Connections& connections() {
  static Connections all;
  return all;
}

struct Place {
  std::string server, path;  // http://host:8000, /folder/file?key=x
};

Place place_of(const std::string& url) {
  http_server_of(url);  // throws
  const auto path = url.find_first_of("/?#", url.find("://") + std::strlen("://"));
  if (path == std::string::npos || url[path] != '/')
    fail(shown(url), ": names a server and no file");
  return {url.substr(0, path), url.substr(path)};
}

// Where the header Location leads from there. httplib's own redirects open a new connection each
// time, which no deadline reaches.
Place redirected(const Place& from, std::string location) {
  location.erase(std::min(location.find('#'), location.size()));
  if (is_url(location)) {
    if (from.server.starts_with("https://") && location.starts_with("http://"))
      fail(shown(location),
           ": from https:// to http://, where anybody on the way may read and change the answer; "
           "name that address itself if you trust it");
    return place_of(location);
  }
  if (location.starts_with("//"))
    return place_of(from.server.substr(0, from.server.find("//")) + location);
  if (location.starts_with('/')) return {from.server, location};
  const std::string path = from.path.substr(0, from.path.find('?'));
  return {from.server, path.substr(0, path.rfind('/') + 1) + location};
}

// "bytes 0-0/12345"; -1: not given, or beyond 64 bits.
struct ContentRange {
  std::int64_t first = -1, total = -1;
};

ContentRange range_of(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const auto dash = text.find('-'), slash = text.find('/');
  ContentRange range;
  if (!text.starts_with(kUnit) || dash == text.npos || slash == text.npos) return range;
  if (!read_number(text.substr(kUnit.size(), dash - kUnit.size()), range.first)) range.first = -1;
  if (!read_number(text.substr(slash + 1), range.total)) range.total = -1;
  return range;
}

// What came of one request, apart from the bytes.
struct Answer {
  int status = 0;  // 0: none came
  std::string version, location, error;
  std::string refused;    // why it was not read on
  bool hopeless = false;  // no later try helps
  ContentRange range;
  std::size_t received = 0;
  bool too_long = false;

  bool redirects() const { return status > 300 && status < 400 && !location.empty(); }
  void take_headers(const httplib::Response& r) {
    status = r.status;
    version = r.get_header_value(r.has_header("ETag") ? "ETag" : "Last-Modified");
    location = r.get_header_value("Location");
    range = range_of(r.get_header_value("Content-Range"));
  }
};

struct Wanted {
  std::uint64_t offset = 0;
  char* to = nullptr;
  std::size_t bytes = 0;
};

// "" where the answer holds what is wanted.
std::string reason(const Answer& a, const Wanted& w) {
  if (!a.refused.empty()) return cat("the server's answer is refused: ", a.refused);
  if (a.status == 0) return cat("no answer from the server: ", a.error);
  if (a.status == 200)
    return "the server sends whole files only: shards need one that answers range requests, such "
           "as nginx; or download them and name the files";
  if (a.status != 206) return cat("the server answers with status ", a.status);
  if (a.range.first < 0 || static_cast<std::uint64_t>(a.range.first) != w.offset)
    return cat("the server does not say that it sent the bytes from ", w.offset,
               " on, which were asked for");
  if (a.too_long) return cat("the server sent more than the ", w.bytes, " bytes asked for");
  if (a.received == w.bytes) return "";
  return cat("the server sent ", a.received, " of ", w.bytes, " bytes",
             a.error.empty() ? "" : ": " + a.error);
}

// A change of a file between two reads cannot be told then.
void warn_without_version(const std::string& url) {
  static std::atomic<bool> warned = false;
  if (!warned.exchange(true))
    log::warn(cat(url,
                  ": the server gives neither ETag nor Last-Modified: a change of its files is "
                  "not noticed unless their size changes"));
}

// The servers that do not answer: the threads that read from one share its warning and its time.
class Outages {
 public:
  // Until when to ask it again.
  HttpClock::time_point failed(const std::string& server, const std::string& why) {
    const std::chrono::milliseconds patience(http_retry_ms);
    const auto now = HttpClock::now();
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = outages_.try_emplace(server, Outage{now, now});
    Outage& outage = at->second;
    const bool first = is_new || now - outage.last > patience;
    if (first) outage.begin = now;
    outage.last = now;
    if (first)
      log::warn(cat(server, ": does not answer, trying again for ", patience.count() / 1000, " s (",
                    why, ")"));
    return outage.begin + patience;
  }
  void answered(const std::string& server) {
    const std::lock_guard lock(mutex_);
    outages_.erase(server);
  }

 private:
  struct Outage {
    HttpClock::time_point begin, last;
  };
  std::mutex mutex_;
  std::map<std::string, Outage> outages_;
};

Outages& outages() {
  static Outages all;
  return all;
}

bool is_unknown_host(const std::string& server) {
  ::addrinfo* found = nullptr;
  const int result = ::getaddrinfo(http_server_of(server).name.c_str(), nullptr, nullptr, &found);
  if (found) ::freeaddrinfo(found);
  return result == EAI_NONAME;
}

bool is_hopeless(httplib::Error e, const std::string& server) {
  return e == httplib::Error::SSLServerVerification || e == httplib::Error::SSLLoadingCerts ||
         (e == httplib::Error::Connection && is_unknown_host(server));
}

std::string words_of_failure(httplib::Error e, const std::string& server, bool silent) {
  using enum httplib::Error;
  switch (e) {
    case Connection:
      return is_unknown_host(server) ? "no host has this name"
                                     : "it refused the connection, or cannot be reached";
    case ConnectionTimeout:
      return cat("no connection within ", kConnectSeconds, " s");
    case Read:
    case Write:
      return silent ? cat("it sent nothing for ", kSilentSeconds, " s")
                    : "it closed the connection early";
    case SSLConnection:
      return "TLS failed; is this the port of https://?";
    case SSLLoadingCerts:
    case SSLServerVerification:
      return "its TLS certificate is not one that this machine trusts for this host; install the "
             "package ca-certificates, or name a file with the certificate of its authority in the "
             "environment variable SSL_CERT_FILE";
    default:
      return httplib::to_string(e);
  }
}

std::string stopped_because(std::chrono::milliseconds patience) {
  return stop_signal != 0 ? "the request was ended"
                          : cat("it was not complete after ", patience.count(), " ms");
}

class HttpSource final : public ByteSource {
 public:
  HttpSource(std::string url, std::chrono::milliseconds patience)
      : url_(std::move(url)), place_(place_of(url_)), patience_(patience) {
    char byte = 0;
    const Answer first = get({0, &byte, 1});
    if (first.range.total <= 0)
      fail(url_, ": the server does not say how large this file is, or it is beyond 63 bits");
    size_ = static_cast<std::uint64_t>(first.range.total);
    version_ = first.version;
    if (version_.empty()) warn_without_version(url_);
  }

  std::uint64_t size() const override { return size_; }
  bool is_remote() const override { return true; }

  void read(std::uint64_t offset, char* to, std::size_t bytes) const override {
    if (bytes == 0) return;
    if (offset > size_ || bytes > size_ - offset)
      throw SourceFailure(url_, cat("ends at byte ", size_, ", before what is to be read"));
    const Answer a = get({offset, to, bytes});
    if (a.version != version_ || static_cast<std::uint64_t>(a.range.total) != size_)
      throw SourceFailure(url_, "was changed since the program began to read it: start again");
  }

 private:
  void wait_before_next_try(const std::string& why, HttpClock::duration pause,
                            HttpClock::time_point end) const {
    constexpr std::chrono::milliseconds kLook(100);
    if (HttpClock::now() >= end)
      throw SourceFailure(url_, cat(why, "; given up after ", http_retry_ms / 1000, " s"));
    const auto next = std::min(HttpClock::now() + pause, end);
    while (stop_signal == 0 && HttpClock::now() < next)
      std::this_thread::sleep_for(std::min<HttpClock::duration>(kLook, next - HttpClock::now()));
    if (const int signal = stop_signal; signal != 0)
      throw SourceFailure(url_, cat(why, "; not tried again, since the program was asked to stop"),
                          128 + signal);
  }
  Place redirected_from(const Place& at, const std::string& location) const try {
    return redirected(at, location);
  } catch (const Error& e) {
    throw SourceFailure(url_, cat("the server sends on to ", e.what()));
  }
  Answer get(const Wanted& wanted) const {
    constexpr std::chrono::milliseconds kFirstPause(200), kLongestPause(2000);
    for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
      Answer a;
      Place at = place_;
      for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
        a = ask(at, wanted);
        if (!a.redirects()) break;
        at = redirected_from(at, a.location);
      }
      const std::string why = reason(a, wanted);
      if (why.empty()) {
        outages().answered(at.server);
        return a;
      }
      // 403 is the answer of object stores that list nothing to strangers.
      if (a.status == 403 || a.status == 404 || a.status == 410) throw NoSuchSource(url_, why);
      const bool cut = a.status == 206 && !a.too_long && a.received < wanted.bytes;
      const bool may_pass = a.status == 0 || cut || a.status == 429 || a.status >= 500;
      if (!may_pass || a.hopeless) throw SourceFailure(url_, why);
      wait_before_next_try(why, pause, outages().failed(at.server, why));
    }
  }

  // Takes no body but that of a part, and of that no more than was asked for: a server may send a
  // whole file, or without end.
  Answer ask(const Place& at, const Wanted& wanted) const {
    constexpr std::size_t kSlowestPerSecond = 256u << 10;  // bytes
    Answer a;
    const WithoutSigpipe in_this_thread;
    auto client = connections().take(at.server);
    const httplib::Headers headers{
        {"Range", cat("bytes=", wanted.offset, '-', wanted.offset + wanted.bytes - 1)},
        {"Accept-Encoding", "identity"}};
    const auto starts = [&](const httplib::Response& r) {
      a.take_headers(r);
      if (r.status == 206 && r.has_header("Transfer-Encoding"))  // httplib limits no chunk's line
        a.refused = "it comes in chunks; shards need a server that gives Content-Length, as nginx";
      return r.status == 206 && a.refused.empty();
    };
    const auto takes = [&](const char* data, std::size_t n) {
      a.too_long = n > wanted.bytes - a.received;
      if (a.too_long) return false;
      std::memcpy(wanted.to + a.received, data, n);
      a.received += n;
      return true;
    };
    const auto patience = patience_ + std::chrono::seconds(wanted.bytes / kSlowestPerSecond);
    HttpDeadline deadline([&client] { client->stop(); }, patience);
    const auto start = HttpClock::now();
    const auto result = client->Get(at.path, headers, starts, takes);
    const bool late = deadline.end();
    if (result) {
      a.take_headers(*result);  // not handed to `starts` where a status has no body
      if (!late) connections().give_back(at.server, std::move(client));
    } else {
      const bool silent = HttpClock::now() - start >= std::chrono::seconds(kSilentSeconds);
      if (a.refused.empty()) a.refused = http_refusal(*client);
      a.hopeless = !a.refused.empty() || is_hopeless(result.error(), at.server);
      a.error =
          late ? stopped_because(patience) : words_of_failure(result.error(), at.server, silent);
    }
    return a;
  }

  std::string url_;
  Place place_;
  std::string version_;
  std::uint64_t size_ = 0;
  std::chrono::milliseconds patience_;
};

}  // namespace

std::shared_ptr<const ByteSource> open_http_source(const std::string& url,
                                                   std::chrono::milliseconds patience) {
  return std::make_shared<HttpSource>(url, patience);
}

}  // namespace darknet
