#include "web/folder_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "core/input.h"
#include "core/text.h"
#include "core/utf8.h"
#include "report/page_markup.h"
#include "web/http_listener.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using httplib::Request, httplib::Response;

constexpr int kMoved = 301, kUnchanged = 304, kNotFound = 404;
constexpr std::size_t kPiece = 64 << 10, kMaxPage = 4 << 20, kMaxListed = 5000;
constexpr const char *kHtml = "text/html; charset=utf-8", *kText = "text/plain; charset=utf-8";

constexpr std::pair<std::string_view, const char*> kTypes[] = {
    {".html", kHtml},
    {".htm", kHtml},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".webp", "image/webp"},
    {".bmp", "image/bmp"},
    {".mp4", "video/mp4"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".csv", "text/csv; charset=utf-8"},
    {".pdf", "application/pdf"},
    {".jsonl", kText},
    {".txt", kText},
    {".log", kText},
    {".md", kText},
    {".cfg", kText},
    {".data", kText},
    {".names", kText}};

// Into pages, so that they show what came since; `%s` is the state of the page that holds it.
constexpr const char* kReload = R"html(<script>
setInterval(async () => {
  try {
    const found = await fetch(location.pathname, {method: 'HEAD', cache: 'no-store'});
    if (found.ok && found.headers.get('ETag') !== '%s') location.reload();
  } catch {}
}, 3000);
</script>
)html";

// An open file or folder, which it closes.
class Opened {
 public:
  Opened() = default;
  explicit Opened(int descriptor) : descriptor_(descriptor) {}
  Opened(Opened&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Opened& operator=(Opened&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Opened() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  explicit operator bool() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  struct ::stat status() const {
    struct ::stat s {};
    if (::fstat(descriptor_, &s) != 0) s.st_mode = 0;
    return s;
  }

 private:
  int descriptor_ = -1;
};

// Opened here and not by core/input.h, because no step of the path may be a link.
Opened open_in(const Opened& folder, const std::string& name) {
  const bool plain = !name.empty() && !name.starts_with('.') && name.find('\0') == name.npos &&
                     name.find('/') == name.npos;
  if (!plain) return {};
  return Opened(
      ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

// "/a/b.png" below `root`; "/a/" is the folder itself.
Opened open_below(const fs::path& root, std::string_view path) {
  Opened at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  path.remove_prefix(1);
  while (at && !path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    at = open_in(at, std::string(path.substr(0, end)));
    if (at && end < path.size() && !S_ISDIR(at.status().st_mode)) return {};
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return at;
}

// Other bytes, another tag: files are replaced, and logs grow.
std::string tag_of(const struct ::stat& s) {
  return fmt::format("\"{:x}-{:x}-{:x}-{:x}\"", s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec);
}

const char* type_of(const std::string& path) {
  const std::string extension = lower_case(fs::path(path).extension().string());
  for (const auto& [of, type] : kTypes)
    if (of == extension) return type;
  return "application/octet-stream";
}

// None where it cannot be read to its end, which another process may have moved.
std::optional<std::string> all_of(const Opened& file, std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(file.get(), text.data() + done, bytes - done, static_cast<off_t>(done));
    if (got <= 0) return std::nullopt;
    done += to_size(got);
  }
  return text;
}

std::string reload_script(const std::string& tag) {
  constexpr std::string_view kState = "%s", kScript = kReload;
  constexpr std::size_t kAt = kScript.find(kState);
  return cat(kScript.substr(0, kAt), tag, kScript.substr(kAt + kState.size()));
}

void send_page(Response& response, std::string html, const std::string& tag) {
  const std::string script = reload_script(tag);
  const std::size_t end = html.rfind("</body>");
  html.insert(std::min(end, html.size()), script);
  response.set_content(html, kHtml);
}

// Piece by piece: weights may be larger than what memory is free. Shared, because the library
// copies the function.
void send_file(Response& response, Opened opened, std::size_t bytes, const char* type) {
  auto file = std::make_shared<Opened>(std::move(opened));
  response.set_content_provider(
      bytes, type, [file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        std::array<char, kPiece> piece{};
        const ssize_t got = ::pread(file->get(), piece.data(), std::min(length, piece.size()),
                                    static_cast<off_t>(offset));
        return got > 0 && sink.write(piece.data(), to_size(got));  // false: it has shrunk
      });
}

// For HEAD, which open pages ask for every few seconds: without reading. The function is not
// called.
void send_length(Response& response, std::size_t bytes, const char* type) {
  response.set_content_provider(bytes, type,
                                [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
}
void send_no_length(Response& response, const char* type) {
  response.set_chunked_content_provider(type,
                                        [](std::size_t, httplib::DataSink&) { return false; });
}

struct Entry {
  std::string name;
  bool folder = false;
  bool operator<(const Entry& other) const {
    return std::tie(other.folder, name) < std::tie(folder, other.name);
  }
};

struct Entries {
  std::vector<Entry> listed;
  std::size_t more = 0;  // that are not, in folders beyond all reason
};

Entries entries_of(Opened folder) {
  Entries all;
  const int descriptor = folder.release();
  ::DIR* const list = ::fdopendir(descriptor);
  if (!list) {
    ::close(descriptor);
    return all;
  }
  while (const ::dirent* e = ::readdir(list)) {
    struct ::stat s {};
    if (e->d_name[0] == '.' || ::fstatat(descriptor, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 ||
        (!S_ISDIR(s.st_mode) && !S_ISREG(s.st_mode)))
      continue;
    if (all.listed.size() < kMaxListed)
      all.listed.push_back({e->d_name, S_ISDIR(s.st_mode)});
    else
      ++all.more;
  }
  ::closedir(list);
  std::sort(all.listed.begin(), all.listed.end());
  return all;
}

std::string listing(const std::string& title, const Entries& entries, bool top) {
  std::string html = page_head(title) + "<ul>\n";
  if (!top) html += "<li><a href=\"../\">..</a></li>\n";
  for (const Entry& e : entries.listed)
    html += fmt::format("<li><a href=\"./{0}{2}\">{1}{2}</a></li>\n", url_path(e.name),
                        escaped_markup(e.name), e.folder ? "/" : "");
  html += "</ul>\n";
  if (entries.more > 0)
    html += paragraph(
        fmt::format("{} more are not listed; their addresses are served.", entries.more), "soft");
  return html + kPageEnd;
}

void send_not_found(Response& response, const std::string& path) {
  response.status = kNotFound;
  response.set_content(page_head("Not found") +
                           paragraph(path + " is not in this folder, or not served.", "") +
                           "<p><a href=\"/\">To the beginning</a></p>\n" + kPageEnd,
                       kHtml);
}

}  // namespace

struct FolderServer::Impl {
  Impl(const fs::path& folder, const HttpAddress& address)
      : root(fs::absolute(folder)), listener(address) {}

  void answer(const Request&, Response&) const;
  void send_folder(const Request&, Response&, Opened) const;
  void send(const Request&, Response&, Opened, const std::string& path) const;

  fs::path root;
  HttpListener listener;
};

void FolderServer::Impl::answer(const Request& asked, Response& response) const {
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Cache-Control", "no-cache");  // kept, but asked for again
  Opened found = open_below(root, asked.path);
  if (!found) return send_not_found(response, asked.path);
  const mode_t mode = found.status().st_mode;
  if (S_ISDIR(mode)) return send_folder(asked, response, std::move(found));
  if (S_ISREG(mode) && !asked.path.ends_with('/'))
    return send(asked, response, std::move(found), asked.path);
  send_not_found(response, asked.path);
}

void FolderServer::Impl::send_folder(const Request& asked, Response& response,
                                     Opened folder) const {
  if (!asked.path.ends_with('/'))  // else the addresses on its page would be of its parent's files
    return response.set_redirect(url_path(asked.path) + "/", kMoved);
  Opened page = open_in(folder, "index.html");
  if (page && S_ISREG(page.status().st_mode))
    return send(asked, response, std::move(page), "index.html");
  const bool top = asked.path == "/";
  const std::string title = top ? root.filename().string() : asked.path;
  const std::string tag = tag_of(folder.status());
  response.set_header("ETag", tag);
  if (asked.method == "HEAD") return send_no_length(response, kHtml);
  send_page(response, listing(title, entries_of(std::move(folder)), top), tag);
}

void FolderServer::Impl::send(const Request& asked, Response& response, Opened file,
                              const std::string& path) const {
  const struct ::stat s = file.status();
  const std::string tag = tag_of(s);
  const char* const type = type_of(path);
  response.set_header("ETag", tag);
  if (asked.get_header_value("If-None-Match") == tag) {
    response.status = kUnchanged;
    return;
  }
  const std::size_t bytes = to_size(s.st_size);
  const bool reloads = type == kHtml && bytes <= kMaxPage;
  if (bytes == 0 && !reloads) return response.set_content("", type);
  if (asked.method == "HEAD")
    return send_length(response, bytes + (reloads ? reload_script(tag).size() : 0), type);
  if (reloads) {
    std::optional<std::string> html = all_of(file, bytes);
    if (!html) return send_not_found(response, asked.path);
    return send_page(response, std::move(*html), tag);
  }
  send_file(response, std::move(file), bytes, type);
}

FolderServer::FolderServer(const fs::path& folder, const HttpAddress& address) {
  if (!is_folder(folder)) fail(folder.string(), ": there is no such folder");
  impl_ = std::make_unique<Impl>(folder, address);
  impl_->listener.server().Get(R"(/[\s\S]*)", [this](const Request& asked, Response& response) {
    impl_->answer(asked, response);
  });
  impl_->listener.start();
}
FolderServer::~FolderServer() = default;

int FolderServer::port() const { return impl_->listener.port(); }

}  // namespace darknet
