// Batches made ahead by threads, with an account of the images that could not be read. What a batch
// is does not depend on the threads: dataset/batches.h.
#pragma once
#include <cstdint>
#include <set>
#include <vector>

#include "core/prefetcher.h"
#include "dataset/batches.h"

namespace darknet {

struct LoaderOptions {
  std::int64_t first = 0;  // the first batch that next() returns
  int threads = 0;         // 0: one per core
  double max_bad = 0;      // training: share of the images that may be unreadable and is skipped
};

class Loader {
 public:
  explicit Loader(const Batches&, const LoaderOptions& = {});  // the batches outlive it

  // The next batch, waiting for it; at the end of a plain run one without images. Throws what went
  // wrong while making it, and where more images than max_bad were unreadable. The Batch stays
  // valid until the following call.
  const Batch& next();
  std::int64_t images() const { return batches_.images(); }  // in the list
  std::int64_t unreadable() const;  // images found unreadable for the batches so far (training)
  std::vector<std::int64_t> take_newly_unreadable();  // those since the last call

 private:
  void count_unreadable(const Batch&);

  const Batches& batches_;
  double max_bad_;
  std::set<std::int64_t> bad_;
  std::vector<std::int64_t> newly_bad_;
  Batch end_;  // without images
  Prefetcher<Batches> prefetcher_;
};

}  // namespace darknet
