#include "image/image_warnings.h"

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/log_capture.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::size_t kMaxNamed = 5;

struct Noted {
  std::mutex mutex;
  std::unordered_set<std::size_t> files;  // by hash: there may be as many as the data set has
  std::vector<std::string> named;
};

Noted& noted() {  // of the process: images are decoded everywhere
  static Noted one;
  return one;
}

// The first line of what the libraries printed.
std::string first_line(const std::string& text) { return shown(text.substr(0, text.find('\n'))); }

}  // namespace

void note_image_warning(const std::string& file, const std::string& why) {
  const std::string message = cat(file, ": ", first_line(why));
  if (log::is_captured()) return log::warn(message);  // a library's caller counts by itself
  Noted& n = noted();
  const std::lock_guard lock(n.mutex);
  if (!n.files.insert(std::hash<std::string>{}(file)).second) return;
  if (n.files.size() == 1)
    log::warn(cat(message, " (the image is used; others like it are counted)"));
  else if (n.named.size() < kMaxNamed)
    n.named.push_back(message);
}

ImageWarningSummary::~ImageWarningSummary() {
  Noted& n = noted();
  const std::lock_guard lock(n.mutex);
  if (n.files.size() > 1) {
    std::string text = cat(plural(std::ssize(n.files), "image"),
                           " used in spite of small errors; after the first:");
    for (const std::string& message : n.named) text += "\n  " + message;
    if (n.files.size() > 1 + n.named.size()) text += "\n  ...";
    log::warn(text);
  }
  n.files.clear(), n.named.clear();
}

}  // namespace darknet
