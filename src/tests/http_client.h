// A client of the servers under test. Needs the library's flags (tests/CMakeLists.txt).
#pragma once
#include <httplib.h>

#include <chrono>

namespace darknet::testing_files {

inline httplib::Client client_of(int port) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(std::chrono::seconds(20));
  return client;
}

}  // namespace darknet::testing_files
