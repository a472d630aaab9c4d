// The files of one folder over HTTP, such as the page of a comparison, which loads itself again
// when it has grown. Read only. Nothing outside the folder is served, no link and nothing whose
// name begins with a dot.
#pragma once
#include <filesystem>
#include <memory>

#include "web/http_address.h"

namespace darknet {

class FolderServer {
 public:
  // Serves from now on; throws where there is no such folder or the port cannot be had.
  FolderServer(const std::filesystem::path& folder, const HttpAddress&);
  FolderServer(const FolderServer&) = delete;
  FolderServer& operator=(const FolderServer&) = delete;
  ~FolderServer();
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace darknet
