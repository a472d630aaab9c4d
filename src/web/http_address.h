// Where a web server of this program listens. Names no library, so that options can hold it.
#pragma once
#include <string>

namespace darknet {

inline constexpr int kMaxPort = 65535;

struct HttpAddress {
  std::string bind = "127.0.0.1";  // the address that is listened on: this machine alone
  int port = -1;                   // -1: no server; 0: any free port
};
// "http://127.0.0.1:8090/"
std::string url_of(const std::string& bind, int port);

}  // namespace darknet
