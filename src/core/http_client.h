// The client of httplib, with a limit on the status line and the headers of an answer, which the
// library lacks. Names httplib; included by core/http_source.cpp alone.
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

// Of "http://host:8000" or "https://[::1]". Throws Error, "URL: ...", where it names no valid
// server or port, where it holds a user name or password, and for https:// where this build cannot
// read it.
HttpServer http_server_of(std::string_view url);

// `silent`: for how long the server may send nothing. An answer is an Error::Read where its status
// line exceeds 2 KiB, or with its headers 64 KiB, or where its status is below 200.
std::unique_ptr<httplib::ClientImpl> make_http_client(const HttpServer&,
                                                      std::chrono::seconds silent);
// Why the last answer was refused, where it was for one of these reasons; else "".
std::string http_refusal(const httplib::ClientImpl&);

}  // namespace darknet
