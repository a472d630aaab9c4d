#include "dataset/batches.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/index.h"
#include "core/out_of_memory.h"
#include "core/threads.h"
#include "dataset/shard_verifier.h"

namespace darknet {
namespace {

constexpr int kTriesForReadable = 64;

// Streams of random numbers, one per purpose.
constexpr std::uint64_t kShuffle = 0x5348, kSample = 0x5341, kSize = 0x5349, kFilter = 0x4649;

// Of the whole images: whether one or its part is in hand depends on what the cache holds.
std::size_t bytes_of(const std::vector<CachedImage>& images) {
  std::size_t bytes = 0;
  for (const CachedImage& i : images) {
    const Image& image = i->image;
    bytes += is_empty(i->part)
                 ? image.pixels.size()
                 : to_size(i->width * i->height * image.channels * std::int64_t{image.depth});
  }
  return bytes;
}
std::size_t bytes_of(const Shape& input) { return to_size(input.size()) * sizeof(float); }

// f(), with its time added to a part of `times`.
template <class F>
auto timed(LoadTimes* times, std::atomic<std::int64_t> LoadTimes::*part, F f) -> decltype(f()) {
  if (!times) return f();
  struct Sum {
    std::atomic<std::int64_t>& to;
    double start = thread_cpu_seconds();
    ~Sum() { to += std::llround(1e9 * (thread_cpu_seconds() - start)); }
  };
  const Sum sum{times->*part};
  return f();
}

const BatchSettings& checked(const BatchSettings& s) {
  if (s.truths.size() != s.images.size() && (s.augmentation || !s.truths.empty()))
    fail("there are labels of ", s.truths.size(), " images for ", s.images.size());
  if (s.augmentation && s.images.empty()) fail("there are no images to train on");
  return s;
}

// Darknet: a letter box has grey bars.
Outside outside(const BatchSettings& s) {
  return s.augmentation && !s.augmentation->letter_box ? Outside::mean : Outside::grey;
}

}  // namespace

std::int64_t EpochOrders::at(std::int64_t sample) const {
  const std::int64_t epoch = sample / images_;
  const std::lock_guard lock(mutex_);
  Order& order = kept_[to_size(epoch) % kept_.size()];
  if (order.epoch != epoch) draw(order, epoch);
  return order.images[to_size(sample % images_)];
}

void EpochOrders::draw(Order& order, std::int64_t epoch) const {
  order.epoch = epoch;
  if (!shards_.starts.empty()) {
    order.images = shards_.order(images_, Rng(seed_ ^ kShuffle, static_cast<std::uint64_t>(epoch)));
    return;
  }
  order.images.resize(to_size(images_));
  std::iota(order.images.begin(), order.images.end(), 0);
  Rng rng(seed_ ^ kShuffle, static_cast<std::uint64_t>(epoch));
  shuffle(order.images, rng);
}

// An epoch's images are read in an order in which neighbours lie near each other in their shards.
std::int64_t EpochOrders::other(std::int64_t sample, Rng& rng) const {
  if (shards_.starts.empty()) return rng.below(images_);
  const std::int64_t start = sample / images_ * images_, half = (shards_.window + 1) / 2;
  const std::int64_t low = std::max(start, sample - half);
  const std::int64_t high = std::min(start + images_, sample + half + 1);
  return at(low + rng.below(high - low));
}

Batches::Batches(BatchSettings settings, CacheBudget* cache)
    : settings_(std::move(settings)),
      images_(checked(settings_).images, {settings_.channels, settings_.input_max}, cache,
              outside(settings_)),
      orders_(images_.size(), settings_.seed,
              training()
                  ? shard_sequence(settings_.images, settings_.augmentation->image.shuffle_window)
                  : ShardSequence{}) {}

Batch Batches::make(std::int64_t k) const {
  Batch batch;
  prepare(k, batch);
  for (std::int64_t i = 0; i < pieces(k); ++i) make_piece(batch, i);
  return batch;
}

std::int64_t Batches::pieces(std::int64_t k) const {
  if (training()) return settings_.count > 0 ? settings_.count : settings_.batch;
  return std::clamp<std::int64_t>(images_.size() - k * settings_.batch, 0, settings_.batch);
}

void Batches::prepare(std::int64_t k, Batch& b) const {
  b.index = k;
  b.size = settings_.size(k);
  const auto n = to_size(pieces(k));
  const Shape shape{pieces(k), b.size.height, b.size.width, settings_.channels};
  with_memory_for(
      [&] {
        return cat("the pixels of a batch, ", to_string(shape), "; a smaller batch needs less");
      },
      [&] { b.pixels.resize(to_size(shape.size())); });
  b.tiles.clear();
  b.tiles.resize(n);
  b.truths.assign(n, {});
  const bool targets = training() && settings_.classification;
  b.targets.assign(targets ? n * to_size(settings_.classification->classes) : 0, 0);
  b.images.assign(n, 0);
  b.shown.assign(n, {});
  b.placements.assign(n, {});
  b.sizes.assign(n, {});
  b.unreadable.assign(n, {});
  if (training() && settings_.shards) note_images_of_others(b);
}

struct Batches::Drawn {
  Rng rng;
  std::vector<std::int64_t> images;
  Mixing mixing = Mixing::none;
};

Batches::Drawn Batches::draw(std::int64_t sample) const {
  Drawn d{.rng = Rng(settings_.seed ^ kSample, static_cast<std::uint64_t>(sample)),
          .images = {orders_.at(sample)}};
  d.mixing = settings_.classification ? draw_mixing(settings_.classification->keys, d.rng)
                                      : draw_mixing(settings_.augmentation->image, d.rng);
  while (d.images.size() < images_of(d.mixing)) d.images.push_back(orders_.other(sample, d.rng));
  return d;
}

// Those of this process are noted as they are read.
void Batches::note_images_of_others(const Batch& b) const {
  if (settings_.count == 0) return;
  const std::int64_t first = b.index * settings_.batch, mine = sample(b, 0);
  for (std::int64_t s = first; s < first + settings_.batch; ++s)
    if (s < mine || s >= mine + settings_.count)
      for (const std::int64_t image : draw(s).images) settings_.shards->note_use(image);
}

void Batches::make_piece(Batch& b, std::int64_t i) const {
  if (training())
    make_augmented(b, i);
  else
    make_plain(b, i);
}

View<float> Batches::view(Batch& b, std::int64_t i) const {
  const Shape shape{1, b.size.height, b.size.width, settings_.channels};
  return {b.pixels.data() + i * shape.size(), shape, shape.c};
}

void Batches::make_plain(Batch& b, std::int64_t i) const {
  const std::int64_t image = b.index * settings_.batch + i;
  OpenedImage opened = images_.open(image);
  const Image size = opened.size;
  const auto at = to_size(i);
  b.images[at] = image;
  b.shown[at] = {image};
  b.placements[at] = settings_.classification
                         ? centre_crop({size.width, size.height}, b.size.height, b.size.width)
                         : plain_placement(size, b.size.height, b.size.width, settings_.letter_box);
  b.sizes[at].width = size.width, b.sizes[at].height = size.height;
  const CachedImage cached = images_.get(std::move(opened), {});  // whole, so that damage is found
  place({.threads = 1}, *cached, b.placements[at], view(b, i));
  if (settings_.truths.empty()) return;
  const auto truths = settings_.truths[to_size(image)];
  b.truths[at].assign(truths.begin(), truths.end());
}

// What an input image is made of: one entry per image that it shows.
struct Batches::Shown {
  std::vector<std::int64_t> images;
  Mixing mixing = Mixing::none;
  std::vector<Image> sizes;  // whole, without pixels
  std::vector<Placement> placements;
  std::vector<CachedImage> decoded;
};

void Batches::draw_placements(Shown& s, Rng rng, const InputSize& input) const {
  const Augmentation& a = *settings_.augmentation;
  if (settings_.classification) {
    for (const Image& size : s.sizes)
      s.placements.push_back(random_class_crop(settings_.classification->keys, a.image, rng,
                                               {size.width, size.height}, input.height,
                                               input.width));
    if (s.mixing == Mixing::cutmix)
      s.placements[1].region = cutmix_part(rng, input.height, input.width);
    return;
  }
  std::vector<const Image*> sizes;
  for (const Image& size : s.sizes) sizes.push_back(&size);
  if (s.mixing == Mixing::mosaic)
    s.placements = mosaic_placements(a, rng, sizes, input.height, input.width);
  else
    for (const Image* size : sizes)
      s.placements.push_back(random_placement(a, rng, *size, input.height, input.width));
}

// `at`: the image in hand, where something is thrown.
void Batches::decode(Shown& s, std::size_t& at, Rng rng, const InputSize& input) const {
  const Augmentation& a = *settings_.augmentation;
  std::vector<OpenedImage> opened;
  for (at = 0; at < s.images.size(); ++at) {
    if (settings_.shards) settings_.shards->note_use(s.images[at]);
    opened.push_back(
        timed(settings_.times, &LoadTimes::read, [&] { return images_.open(s.images[at]); }));
  }
  for (const OpenedImage& o : opened) s.sizes.push_back(o.size);
  draw_placements(s, rng, input);
  for (at = 0; at < s.images.size(); ++at) {
    const Placement& p = s.placements[at];
    const int reduction = a.image.scaled_decode ? reduction_for(p) : 1;
    const Wanted wanted{.reduction = reduction,
                        .outside = shows_outside(p, s.sizes[at]),
                        .part = shown_part(p, s.sizes[at], reduction)};
    s.decoded.push_back(timed(settings_.times, &LoadTimes::decode,
                              [&] { return images_.get(std::move(opened[at]), wanted); }));
  }
}

std::int64_t Batches::sample(const Batch& b, std::int64_t i) const {
  return b.index * settings_.batch + settings_.first + i;
}

// The images asked for or, where one cannot be read, another one at random in its place.
Batches::Shown Batches::shown(Batch& b, std::int64_t i, std::vector<std::int64_t> images,
                              Mixing mixing, Rng& rng) const {
  std::vector<int> failures(images.size());
  while (true) {
    std::size_t at = 0;
    try {
      Shown s{.images = images, .mixing = mixing, .sizes = {}, .placements = {}, .decoded = {}};
      decode(s, at, rng, b.size);
      return s;
    } catch (const SourceFailure&) {
      throw;  // the whole shard or server is gone
    } catch (const Error& e) {
      b.unreadable[to_size(i)].push_back({images[at], e.what()});
      images[at] = orders_.other(sample(b, i), rng);
      if (++failures[at] == kTriesForReadable)
        fail("no readable image found in ", kTriesForReadable, " tries; the last one: ", e.what());
    }
  }
}

// One for each image that a training image is made of; none where the keys ask for none.
std::vector<Filters> Batches::filters_of(std::int64_t sample, std::size_t images) const {
  const ImageAugmentation& keys = settings_.augmentation->image;
  std::vector<Filters> filters;
  if (keys.blur == 0 && keys.gaussian_noise == 0) return filters;
  Rng rng(settings_.seed ^ kFilter, static_cast<std::uint64_t>(sample));
  while (filters.size() < images) filters.push_back(random_filters(keys, rng));
  return filters;
}

// Each image has the share of the input that it shows.
void Batches::add_targets(const Shown& s, std::span<float> targets) const {
  const Rect& r = s.placements.back().region;
  const auto part = static_cast<float>((r.x1 - r.x0) * (r.y1 - r.y0));
  const Rect& whole = s.placements.front().region;
  const float share = s.mixing == Mixing::none    ? 0
                      : s.mixing == Mixing::mixup ? .5f
                                                  : part / static_cast<float>(whole.x1 * whole.y1);
  for (std::size_t k = 0; k < s.images.size(); ++k)
    add_target(targets, settings_.truths[to_size(s.images[k])][0].class_id,
               k == 0 ? 1 - share : share, settings_.classification->keys.label_smooth_eps);
}

void Batches::make_augmented(Batch& b, std::int64_t i) const {
  const auto at = to_size(i);
  const std::int64_t sample = this->sample(b, i);
  Drawn drawn = draw(sample);
  const Mixing mixing = drawn.mixing;
  const auto& classification = settings_.classification;
  Shown s = shown(b, i, std::move(drawn.images), mixing, drawn.rng);
  const std::vector<Filters> filters = filters_of(sample, s.images.size());
  // What is done after the warp is done here.
  const bool forward = settings_.tiles && mixing != Mixing::mixup && mixing != Mixing::cutmix &&
                       !std::ranges::any_of(filters, &Filters::any) &&
                       bytes_of(s.decoded) < bytes_of(view(b, i).shape);
  std::vector<float> second;
  for (std::size_t k = 0; k < s.images.size(); ++k) {
    const bool averaged = mixing == Mixing::mixup && k > 0;
    View<float> to = view(b, i);
    if (averaged) second.resize(to_size(to.shape.size())), to.data = second.data();
    const auto warp = [&] { place({.threads = 1}, *s.decoded[k], s.placements[k], to); };
    if (!forward) timed(settings_.times, &LoadTimes::warp, warp);
    const std::size_t before = b.truths[at].size();
    if (!classification)
      timed(settings_.times, &LoadTimes::labels, [&] {
        place_truths(settings_.truths[to_size(s.images[k])], s.sizes[k], s.placements[k],
                     b.size.height, b.size.width, b.truths[at]);
      });
    if (filters.empty() && !averaged) continue;
    timed(settings_.times, &LoadTimes::warp, [&] {
      const std::span<const Truth> shown = std::span(b.truths[at]).subspan(before);
      if (!filters.empty()) apply({.threads = 1}, filters[k], shown, s.placements[k].region, to);
      if (averaged) average_with({.threads = 1}, view(b, i), to);
    });
  }
  if (classification) {
    const auto classes = to_size(classification->classes);
    add_targets(s, std::span(b.targets).subspan(at * classes, classes));
  }
  b.shown[at] = s.images;
  b.images[at] = s.images[0], b.placements[at] = s.placements[0], b.sizes[at] = s.sizes[0];
  for (std::size_t k = 0; forward && k < s.images.size(); ++k)
    b.tiles[at].push_back({std::move(s.decoded[k]), s.placements[k]});
  if (settings_.times) ++settings_.times->images;
}

namespace {

// By which the sides are multiplied or divided, at most.
float largest_factor(float random) {
  constexpr float kDefaultFactor = 1.4f, kMaxFactor = 10;
  return random == 1 ? kDefaultFactor : std::min(std::max(random, 1 / random), kMaxFactor);
}

InputSize size_by(const NetSettings& net, float factor) {
  const auto sized = [&](std::int64_t side) {
    const auto steps = std::llround(factor * static_cast<float>(side) /
                                    static_cast<float>(net.augmentation.resize_step));
    return std::max<std::int64_t>(1, steps) * net.augmentation.resize_step;
  };
  return {sized(net.height), sized(net.width)};
}

}  // namespace

InputSize random_size(const NetSettings& net, float random, std::uint64_t seed, std::int64_t batch,
                      std::int64_t max_batches) {
  constexpr std::int64_t kPeriod = 10, kAtLargest = 100;
  if (random == 0) return {net.height, net.width};
  float factor = largest_factor(random);
  if (batch >= kAtLargest && batch < max_batches - kAtLargest) {
    Rng rng(seed ^ kSize, static_cast<std::uint64_t>(batch / kPeriod));
    const float drawn = rng.uniform(1, factor);
    factor = rng.flip() ? drawn : 1 / drawn;
  }
  return size_by(net, factor);
}

std::vector<InputSize> random_sizes(const NetSettings& net, float random) {
  if (random == 0) return {{net.height, net.width}};
  const float largest = largest_factor(random), smallest = 1 / largest;
  std::vector<float> edges{smallest, largest};  // between which the size is one
  for (const std::int64_t side : {net.height, net.width}) {
    const float step = static_cast<float>(net.augmentation.resize_step) / static_cast<float>(side);
    for (float edge = step / 2; edge < largest; edge += step)
      if (edge > smallest) edges.push_back(edge);
  }
  std::sort(edges.begin(), edges.end());
  std::vector<InputSize> sizes;
  for (std::size_t i = 1; i < edges.size(); ++i) {
    const InputSize s = size_by(net, (edges[i - 1] + edges[i]) / 2);
    if (sizes.empty() || sizes.back().height != s.height || sizes.back().width != s.width)
      sizes.push_back(s);
  }
  return sizes;
}

}  // namespace darknet
