#include "dataset/loader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/out_of_memory.h"
#include "core/start_thread.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::int64_t kDepth = 3;  // batches: one in use, the others in the making
constexpr int kMostThreads = 8;
constexpr int kTriesForReadable = 64;

// Streams of random numbers, one per purpose.
constexpr std::uint64_t kShuffle = 0x5348, kSample = 0x5341, kSize = 0x5349;

// A random order of n images for every epoch.
class Shuffle {
 public:
  Shuffle(std::int64_t n, std::uint64_t seed) : seed_(seed), order_(static_cast<std::size_t>(n)) {}
  std::int64_t at(std::int64_t sample) {  // sample: counted from the first epoch's start
    const auto n = static_cast<std::int64_t>(order_.size());
    if (sample / n != epoch_) draw(sample / n);
    return order_[static_cast<std::size_t>(sample % n)];
  }

 private:
  void draw(std::int64_t epoch) {
    epoch_ = epoch;
    std::iota(order_.begin(), order_.end(), 0);
    Rng rng(seed_ ^ kShuffle, static_cast<std::uint64_t>(epoch));
    for (std::size_t i = order_.size(); i > 1; --i)  // Fisher and Yates
      std::swap(order_[i - 1],
                order_[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(i)))]);
  }
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

struct Unreadable {
  std::int64_t image = 0;
  std::string why;
};

std::size_t bytes_of(const std::vector<const Image*>& pictures) {
  std::size_t bytes = 0;
  for (const Image* p : pictures) bytes += p->pixels.size();
  return bytes;
}
std::size_t bytes_of(const Shape& input) {
  return static_cast<std::size_t>(input.size()) * sizeof(float);
}

struct Slot {  // a batch in the making
  Batch batch;
  std::int64_t done = 0;                            // images
  std::vector<std::vector<Unreadable>> unreadable;  // met while making each image
  std::exception_ptr failure;
  std::int64_t failed_at = 0;
};

}  // namespace

struct Loader::Impl {
  explicit Impl(LoaderSettings s)
      : settings(std::move(s)), pictures(settings.images, settings.channels, settings.cache_bytes) {
    for (Slot& slot : slots) slot.batch.index = -1;
    making = settings.first;
    consumed = settings.first;
  }

  LoaderSettings settings;
  Pictures pictures;
  std::array<Slot, kDepth> slots;
  std::mutex mutex;
  std::condition_variable work, ready;
  bool stop = false;
  std::int64_t consumed = 0;                // batches before this one were given back
  bool lent = false;                        // the user of the loader holds batch `consumed`
  std::int64_t making = 0, next_image = 0;  // the batch and its image to be handed out next
  std::set<std::int64_t> bad;               // images that could not be read, of batches handed out
  Batch end;                                // without images
  std::vector<std::thread> threads;

  bool training() const { return settings.augmentation.has_value(); }
  Slot& slot(std::int64_t batch) { return slots[static_cast<std::size_t>(batch % kDepth)]; }
  std::int64_t images_in(std::int64_t batch) const {
    if (training()) return settings.batch;
    const std::int64_t left = pictures.size() - batch * settings.batch;
    return std::clamp<std::int64_t>(left, 0, settings.batch);
  }

  void run();
  bool take(std::int64_t& batch, std::int64_t& image);
  void prepare(Slot& s, std::int64_t k) const;
  void make(Slot& slot, std::int64_t i, Shuffle& shuffle);
  void make_plain(Batch& batch, std::int64_t i);
  void make_augmented(Slot& slot, std::int64_t i, Shuffle& shuffle);
  BorrowedPicture readable(std::int64_t& image, Rng& rng, std::vector<Unreadable>& met);
  void count_unreadable(Slot& slot);
  View<float> view(Batch& batch, std::int64_t i) const;
};

// Under the lock: shapes the slot for a batch whose images are about to be handed out.
void Loader::Impl::prepare(Slot& s, std::int64_t k) const {
  Batch& b = s.batch;
  b.size = settings.size(k);
  const auto n = static_cast<std::size_t>(images_in(k));
  s.unreadable.assign(n, {});
  const Shape shape{images_in(k), b.size.height, b.size.width, settings.channels};
  with_memory_for(
      [&] {
        return cat("the pixels of a batch, ", to_string(shape), "; a smaller batch needs less");
      },
      [&] { b.pixels.resize(static_cast<std::size_t>(shape.size())); });
  b.parts.clear();
  b.parts.resize(n);
  b.truths.assign(n, {});
  b.images.assign(n, 0);
  b.placements.assign(n, {});
  b.sizes.assign(n, {});
}

// Under the lock: the next image to make; false where the queue is full or the work is done, or
// where a batch cannot even be begun (its sizes, its memory).
bool Loader::Impl::take(std::int64_t& batch, std::int64_t& image) {
  if (making >= consumed + kDepth || images_in(making) == 0) return false;
  Slot& s = slot(making);
  if (next_image == 0) try {
      s.failure = nullptr, s.done = 0, s.batch.index = making;
      prepare(s, making);
    } catch (...) {
      s.failure = std::current_exception(), s.done = images_in(making++);
      ready.notify_all();
      return false;
    }
  batch = making, image = next_image++;
  if (next_image == images_in(batch)) ++making, next_image = 0;
  return true;
}

void Loader::Impl::run() {
  Shuffle shuffle(pictures.size(), settings.seed);
  std::unique_lock lock(mutex);
  while (true) {
    std::int64_t k = 0, i = 0;
    work.wait(lock, [&] { return stop || take(k, i); });
    if (stop) return;
    Slot& s = slot(k);
    lock.unlock();
    std::exception_ptr failure;
    try {
      make(s, i, shuffle);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && (!s.failure || i < s.failed_at)) s.failure = failure, s.failed_at = i;
    if (++s.done == images_in(k)) ready.notify_all();
  }
}

View<float> Loader::Impl::view(Batch& b, std::int64_t i) const {
  const Shape shape{1, b.size.height, b.size.width, settings.channels};
  return {b.pixels.data() + i * shape.size(), shape, shape.c};
}

void Loader::Impl::make(Slot& s, std::int64_t i, Shuffle& shuffle) {
  if (training())
    make_augmented(s, i, shuffle);
  else
    make_plain(s.batch, i);
}

void Loader::Impl::make_plain(Batch& b, std::int64_t i) {
  const std::int64_t image = b.index * settings.batch + i;
  const BorrowedPicture picture = pictures.get(image);
  const auto at = static_cast<std::size_t>(i);
  b.images[at] = image;
  b.placements[at] =
      plain_placement(picture->image, b.size.height, b.size.width, settings.letter_box);
  b.sizes[at].width = picture->image.width, b.sizes[at].height = picture->image.height;
  place({.threads = 1}, *picture, b.placements[at], true, view(b, i));
  if (settings.truths.empty()) return;
  const auto truths = settings.truths[static_cast<std::size_t>(image)];
  b.truths[at].assign(truths.begin(), truths.end());
}

// Under the lock, batch by batch in order: whether there are too many does not depend on threads.
void Loader::Impl::count_unreadable(Slot& s) {
  const double most = settings.max_bad * static_cast<double>(pictures.size());
  const auto met = std::exchange(s.unreadable, {});
  for (const auto& of_image : met)
    for (const Unreadable& u : of_image) {
      if (!bad.insert(u.image).second) continue;
      log::warn(cat(u.why, "; this picture is passed over"));
      if (static_cast<double>(bad.size()) > most)
        fail(bad.size(), " of ", plural(static_cast<std::int64_t>(pictures.size()), "image"),
             " cannot be read, more than -max_bad ", settings.max_bad * 100,
             " %; the last: ", u.why);
    }
}

// The picture asked for or, where it cannot be read, another one at random.
BorrowedPicture Loader::Impl::readable(std::int64_t& image, Rng& rng,
                                       std::vector<Unreadable>& met) {
  for (int attempt = 0; attempt < kTriesForReadable; ++attempt) {
    try {
      return pictures.get(image);
    } catch (const Error& e) {
      met.push_back({image, e.what()});
      image = rng.below(pictures.size());
    }
  }
  fail("no readable picture found in ", kTriesForReadable, " tries");
}

void Loader::Impl::make_augmented(Slot& s, std::int64_t i, Shuffle& shuffle) {
  Batch& b = s.batch;
  const auto at = static_cast<std::size_t>(i);
  const Augmentation& a = *settings.augmentation;
  const std::int64_t sample = b.index * settings.batch + i;
  Rng rng(settings.seed ^ kSample, static_cast<std::uint64_t>(sample));
  std::vector<std::int64_t> images{shuffle.at(sample)};
  if (a.mosaic && rng.flip())
    for (int k = 1; k < 4; ++k) images.push_back(rng.below(pictures.size()));
  std::vector<BorrowedPicture> borrowed;
  std::vector<const Image*> decoded;
  for (std::int64_t& image : images) {
    borrowed.push_back(readable(image, rng, s.unreadable[at]));
    decoded.push_back(&borrowed.back()->image);
  }
  const auto [height, width] = b.size;
  const std::vector<Placement> parts =
      images.size() == 1 ? std::vector{random_placement(a, rng, *decoded[0], height, width)}
                         : mosaic_placements(a, rng, decoded, height, width);
  const bool hand_on = settings.parts && bytes_of(decoded) < bytes_of(view(b, i).shape);
  for (std::size_t k = 0; k < parts.size(); ++k) {
    if (!hand_on) place({.threads = 1}, *borrowed[k], parts[k], a.letter_box, view(b, i));
    place_truths(settings.truths[static_cast<std::size_t>(images[k])], *decoded[k], parts[k],
                 height, width, b.truths[at]);
  }
  b.images[at] = images[0], b.placements[at] = parts[0];
  b.sizes[at].width = decoded[0]->width, b.sizes[at].height = decoded[0]->height;
  for (std::size_t k = 0; hand_on && k < parts.size(); ++k)
    b.parts[at].push_back({std::move(borrowed[k]), parts[k]});
}

Loader::Loader(LoaderSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {
  const LoaderSettings& given = impl_->settings;
  if (given.truths.size() != given.images.size() && (impl_->training() || !given.truths.empty()))
    fail("there are labels of ", given.truths.size(), " pictures for ", given.images.size());
  if (impl_->training() && given.images.empty()) fail("there are no pictures to train on");
  if (given.channels != 1 && given.channels != 3)
    fail("[net] channels=", given.channels, ": pictures have 1 or 3");
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int asked = impl_->settings.threads;
  const int threads = asked > 0 ? asked : std::min(cores, kMostThreads);
  const auto run = [this] { impl_->run(); };
  impl_->threads = start_threads(threads, run);
  if (impl_->threads.empty()) impl_->threads.push_back(start_thread("that reads images", run));
}

Loader::~Loader() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->work.notify_all();
  for (std::thread& t : impl_->threads) t.join();
}

const Batch& Loader::next() {
  Impl& m = *impl_;
  std::unique_lock lock(m.mutex);
  if (m.lent) ++m.consumed;
  m.lent = false;
  m.work.notify_all();
  const std::int64_t k = m.consumed;
  if (m.images_in(k) == 0) return m.end;
  Slot& s = m.slot(k);
  m.ready.wait(lock, [&] { return s.batch.index == k && s.done == m.images_in(k); });
  try {
    m.count_unreadable(s);
  } catch (...) {
    s.failure = std::current_exception();
  }
  if (s.failure) std::rethrow_exception(s.failure);
  m.lent = true;
  return s.batch;
}

std::int64_t Loader::unreadable() const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<std::int64_t>(impl_->bad.size());
}

InputSize random_size(const NetSettings& net, float random, std::uint64_t seed, std::int64_t batch,
                      std::int64_t max_batches) {
  constexpr std::int64_t kPeriod = 10, kAtLargest = 100;
  constexpr float kDefaultFactor = 1.4f, kMostFactor = 10;
  if (random == 0) return {net.height, net.width};
  float factor = random == 1 ? kDefaultFactor : std::min(std::max(random, 1 / random), kMostFactor);
  if (batch >= kAtLargest && batch < max_batches - kAtLargest) {
    Rng rng(seed ^ kSize, static_cast<std::uint64_t>(batch / kPeriod));
    const float drawn = rng.uniform(1, factor);
    factor = rng.flip() ? drawn : 1 / drawn;
  }
  const auto sized = [&](std::int64_t side) {
    const auto steps =
        std::llround(factor * static_cast<float>(side) / static_cast<float>(net.resize_step));
    return std::max<std::int64_t>(1, steps) * net.resize_step;
  };
  return {sized(net.height), sized(net.width)};
}

}  // namespace darknet
