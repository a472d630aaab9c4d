// The client of httplib with limits that the library has not: how long the head of an answer may
// be. Names httplib; included by core/http_source.cpp alone.
#pragma once
#include <httplib.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace darknet {

struct HttpServer {
  bool tls = false;
  std::string name;  // or an address; of IPv6 without brackets
  int port = 0;
};

// Of "http://host:8000" or "https://[::1]". Throws Error, "URL: ...", where it names no server, and
// where this build reads no https://.
HttpServer http_server_of(std::string_view url);

// `silent`: for how long the server may send nothing. An answer whose first lines, up to the blank
// one, exceed 64 KiB is an Error::Read.
std::unique_ptr<httplib::ClientImpl> make_http_client(const HttpServer&,
                                                      std::chrono::seconds silent);

}  // namespace darknet
