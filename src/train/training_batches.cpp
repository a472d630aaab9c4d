#include "train/training_batches.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/out_of_memory.h"
#include "core/text.h"

namespace darknet {
namespace {

std::int64_t coarsest_stride(const Network& net) {
  std::int64_t coarsest = 1;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const Shape in = net.input_shape(), out = net.output_shape(i);
    if (out.h > 1) coarsest = std::max(coarsest, (in.h + out.h - 1) / out.h);
    if (out.w > 1) coarsest = std::max(coarsest, (in.w + out.w - 1) / out.w);
  }
  return coarsest;
}

}  // namespace

std::vector<InputSize> sizes_to_try(const std::vector<InputSize>& sizes, std::int64_t stride) {
  std::vector<InputSize> some;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const bool is_new = seen.emplace(sizes[i].height % stride, sizes[i].width % stride).second;
    if (is_new || i + 1 == sizes.size()) some.push_back(sizes[i]);
  }
  return some;
}

BatchSettings training_batches(const Network& net, const AnnotatedImages& images,
                               std::uint64_t seed) {
  const NetSettings& settings = net.settings();
  const AugmentationKeys keys = net.heads().back().head->settings().augmentation;
  return {.images = images.images,
          .truths = images.truths,
          .channels = settings.channels,
          .batch = settings.batch,
          .input_max = settings.input_max,
          .size =
              [settings, seed, random = keys.random](std::int64_t k) {
                return random_size(settings, random, seed, k, settings.max_batches);
              },
          .augmentation = augmentation_of(settings, keys),
          .seed = seed,
          .tiles = net.options().device.type != DeviceType::cpu};
}

BatchSettings share_of(const Ranks& ranks, BatchSettings settings) {
  if (!ranks.several()) return settings;
  settings.count = settings.batch / ranks.count();
  settings.first = settings.count * ranks.rank();
  return settings;
}

void require_shares(const Ranks& ranks, const NetSettings& n, const Where& where) {
  const std::int64_t count = ranks.count();
  if (n.subdivisions % count == 0) return;
  std::int64_t possible = (n.subdivisions / count + 1) * count;
  while (possible <= n.batch && n.batch % possible != 0) possible += count;
  fail_at(where, "subdivisions=", n.subdivisions, " cannot be shared out over ", count,
          " ranks, of which each takes as many of the micro-batches; ",
          possible <= n.batch
              ? cat("-set net.0.subdivisions=", possible, " can")
              : cat("nor can another number with batch=", n.batch, ": start fewer processes"));
}

void require_random_sizes(Network& net, std::span<const Section> cfg) {
  const std::vector<HeadAt> heads = net.heads();
  if (heads.empty()) return;
  const float random = heads.back().head->settings().augmentation.random;
  const std::int64_t stride = coarsest_stride(net), step = net.settings().augmentation.resize_step;
  if (random == 0 || step % stride == 0) return;
  const Shape usual = net.input_shape();
  const log::WithoutWarnings quiet;
  for (const InputSize& size : sizes_to_try(random_sizes(net.settings(), random), stride)) try {
      net.resize(usual.n, size.height, size.width);
    } catch (const DeviceOutOfMemory&) {
      throw;
    } catch (const HostOutOfMemory&) {
      throw;
    } catch (const Error& e) {
      cfg[to_size(heads.back().layer + 1)].fail(
          "random", cat("it trains with inputs of ", size.width, "x", size.height,
                        " too: ", e.what(), "; set [net] resize_step=", stride, ", or random=0"));
    }
  net.resize(usual.n, usual.h, usual.w);
}

}  // namespace darknet
