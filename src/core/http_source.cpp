// The parts of a file that a web server or an object store sends in answer to range requests.
#include <httplib.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/byte_source.h"
#include "core/error.h"

namespace darknet {
namespace {

// Connections to one server, each used by one thread at a time and kept open between requests.
class Connections {
 public:
  using Client = std::unique_ptr<httplib::Client>;
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
    constexpr int kConnectSeconds = 10, kTransferSeconds = 60;
    auto client = std::make_unique<httplib::Client>(server);
    client->set_keep_alive(true);
    client->set_follow_location(true);
    client->set_tcp_nodelay(true);
    client->set_connection_timeout(kConnectSeconds);
    client->set_read_timeout(kTransferSeconds);
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

// Of "bytes 0-0/12345"; 0: not given.
std::uint64_t total_of(const std::string& content_range) {
  const auto slash = content_range.find('/');
  std::uint64_t total = 0;
  if (slash != std::string::npos)
    std::from_chars(content_range.data() + slash + 1, content_range.data() + content_range.size(),
                    total);
  return total;
}

std::string version_of(const httplib::Response& r) {
  return r.has_header("ETag") ? r.get_header_value("ETag") : r.get_header_value("Last-Modified");
}

class HttpSource final : public ByteSource {
 public:
  explicit HttpSource(std::string url) : url_(std::move(url)) {
    const auto path = url_.find('/', url_.find("://") + std::strlen("://"));
    if (path == std::string::npos) fail(url_, ": names a server and no file");
    server_ = url_.substr(0, path), path_ = url_.substr(path);
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
    if (url_.starts_with("https://"))
      fail(url_, ": this build reads http:// only: its cpp-httplib was compiled without OpenSSL");
#endif
    const httplib::Response first = get(0, 1);
    size_ = total_of(first.get_header_value("Content-Range"));
    version_ = version_of(first);
    if (size_ == 0) fail(url_, ": the server does not say how large this file is");
  }

  std::uint64_t size() const override { return size_; }
  bool is_remote() const override { return true; }

  void read(std::uint64_t offset, char* to, std::size_t bytes) const override {
    if (bytes == 0) return;
    if (offset + bytes > size_) fail(url_, ": ends at byte ", size_, ", before what is to be read");
    const httplib::Response r = get(offset, bytes);
    if (version_of(r) != version_ || total_of(r.get_header_value("Content-Range")) != size_)
      fail(url_, ": was changed since the program began to read it: start again");
    std::memcpy(to, r.body.data(), bytes);
  }

 private:
  httplib::Response get(std::uint64_t offset, std::size_t bytes) const {
    constexpr int kTries = 4;
    constexpr std::chrono::milliseconds kPause(100);
    for (int attempt = 1;; ++attempt) {
      std::string why;
      auto client = connections().take(server_);
      const httplib::Headers headers{{"Range", cat("bytes=", offset, '-', offset + bytes - 1)},
                                     {"Accept-Encoding", "identity"}};
      if (const auto r = client->Get(path_, headers)) {
        httplib::Response response = *r;
        connections().give_back(server_, std::move(client));
        if (response.status == 206 && response.body.size() == bytes) return response;
        why = reason(response);
        if (response.status < 500 && response.status != 429 && response.status != 206)
          fail(url_, ": ", why);
      } else {
        why = cat("no answer from the server: ", httplib::to_string(r.error()));
      }
      if (attempt == kTries) fail(url_, ": ", why, ", ", kTries, " times");
      std::this_thread::sleep_for(kPause * (1 << attempt));
    }
  }
  static std::string reason(const httplib::Response& r) {
    if (r.status == 200)
      return "the server sends whole files only: shards need one that answers range requests";
    if (r.status == 206)
      return cat("the server sent ", r.body.size(), " bytes, others than asked for");
    return cat("the server answers with status ", r.status);
  }

  std::string url_, server_, path_, version_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::shared_ptr<const ByteSource> open_http_source(const std::string& url) {
  return std::make_shared<HttpSource>(url);
}

}  // namespace darknet
