#include "dataset/loader.h"

#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {

Loader::Loader(const Batches& batches, const LoaderOptions& o)
    : batches_(batches),
      max_bad_(o.max_bad),
      prefetcher_(batches, o.first, o.threads, "that reads images") {}

std::int64_t Loader::unreadable() const { return std::ssize(bad_); }

std::vector<std::int64_t> Loader::take_newly_unreadable() { return std::exchange(newly_bad_, {}); }

// Batch by batch in order: whether there are too many does not depend on threads.
void Loader::count_unreadable(const Batch& batch) {
  const double max = max_bad_ * static_cast<double>(batches_.images());
  for (const auto& of_image : batch.unreadable)
    for (const UnreadableImage& u : of_image) {
      if (!bad_.insert(u.image).second) continue;
      newly_bad_.push_back(u.image);
      log::warn(cat(u.why, "; this image is skipped"));
      if (static_cast<double>(bad_.size()) > max)
        fail(bad_.size(), " of ", plural(batches_.images(), "image"),
             " cannot be read, more than -max_bad ", max_bad_ * 100, " %; the last: ", u.why,
             "; `darknet detector check` lists all of them, and -max_bad N allows more");
    }
}

const Batch& Loader::next() {
  const Batch* const batch = prefetcher_.next([this](const Batch& b) { count_unreadable(b); });
  return batch ? *batch : end_;
}

}  // namespace darknet
