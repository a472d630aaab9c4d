#include "eval/classify.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cfg/data_file.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "eval/predict.h"
#include "nn/target_loss.h"

namespace darknet {
namespace {

// Of the image at this place of the last forward pass, in Darknet's order: channel by channel.
std::vector<float> values_of(const Network& net, std::int64_t place) {
  const TensorView out = net.output(net.size() - 1).images(place, 1);
  std::vector<float> values = to_host(net.stream(), out);
  const std::int64_t area = out.shape.h * out.shape.w;
  if (area == 1) return values;
  std::vector<float> by_channel(values.size());
  for (std::int64_t p = 0; p < area; ++p)
    for (std::int64_t c = 0; c < out.shape.c; ++c)
      by_channel[to_size(c * area + p)] = values[to_size(p * out.shape.c + c)];
  return by_channel;
}

void require_finite(const Network& net, std::span<const float> values) {
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); }))
    fail(net.layer(net.size() - 1).title(),
         ": its values are not finite numbers: the weights are damaged, or of a training run that "
         "diverged; take an earlier file");
}

}  // namespace

std::int64_t class_count(const Network& net) {
  if (!net.heads().empty())
    fail_at({net.where().file, 0}, "this network detects (",
            net.layer(net.heads().front().layer).title(),
            "); the commands `darknet detector` are for it");
  const std::int64_t at = target_layer(net);
  bool last = at >= 0;
  for (std::int64_t i = at + 1; last && i < net.size(); ++i) last = net.layer(i).type() == "cost";
  if (!last)
    fail_at({net.where().file, 0},
            "a classifier ends with [softmax], [logistic], or [cost] type=sse; this network ends "
            "with [",
            net.layer(net.size() - 1).type(), "]");
  return net.output_shape(net.size() - 1).features();
}

std::int64_t class_count(const Network& net, const DataFile& data) {
  const std::int64_t classes = class_count(net);
  if (data.classes > 0 && data.classes != classes)
    fail_at({data.path.string(), 0}, "classes=", data.classes, ", but ", net.where().file, " has ",
            plural(classes, "output"),
            "; give the last layer with filters= or output= as many as there are classes");
  return classes;
}

std::vector<std::int64_t> top_classes(std::span<const float> values, std::int64_t count) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = std::min(std::max<std::int64_t>(count, 0), std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      const float x = values[to_size(a)], y = values[to_size(b)];
                      return x > y || (x == y && a < b);
                    });
  order.resize(to_size(kept));
  return order;
}

std::int64_t rank_of(std::span<const float> values, std::int64_t class_id) {
  const float own = values[to_size(class_id)];
  std::int64_t before = 0;
  for (std::int64_t c = 0; c < std::ssize(values); ++c)
    before += values[to_size(c)] > own || (values[to_size(c)] == own && c < class_id);
  return before;
}

std::vector<float> classify(Network& net, const Image& image) {
  const Shape in = net.input_shape();
  if (image.channels != in.c)
    fail("an image of ", plural(image.channels, "channel"), " for a network of ", in.c);
  std::vector<float> pixels(to_size(in.features()));
  place({}, image, centre_crop({image.width, image.height}, in.h, in.w),
        {pixels.data(), {1, in.h, in.w, in.c}, in.c}, net.settings().input_max);
  forward_images(net, pixels);
  std::vector<float> values = values_of(net, 0);
  require_finite(net, values);
  return values;
}

BatchSettings classification_batches(const Network& net, const ImagePaths& images) {
  BatchSettings s = evaluation_batches(net, images);
  s.classification = Classification{.classes = class_count(net), .keys = {}};
  return s;
}

bool classify_images(Network& net, Loader& loader, const ImageShare& share,
                     const std::function<bool()>& stop,
                     const std::function<void(std::size_t, std::span<const float>)>& take) {
  const auto work = [&](const auto& stopped, const auto& give) {
    log::Progress progress("evaluating", loader.images());
    std::int64_t done = 0;
    while (true) {
      const Batch& batch = loader.next();
      if (batch.images.empty() || stopped()) return;
      forward_images(net, batch.pixels);
      for (std::size_t i = 0; i < batch.images.size(); ++i) {
        const std::vector<float> values = values_of(net, static_cast<std::int64_t>(i));
        require_finite(net, values);
        give(to_bytes<float>(values));
      }
      progress.at(done += std::ssize(batch.images));
    }
  };
  return share_results(
      share, stop,
      [&](std::size_t image, std::string_view bytes) { take(image, from_bytes<float>(bytes)); },
      work);
}

std::string trivial_top(std::int64_t top, std::int64_t classes) {
  return cat("top-", top, " of ", plural(classes, "class"),
             " is 100 % whatever the network says; top= of the .data file sets a smaller k",
             classes > 2 ? cat(", such as ", std::min<std::int64_t>(2, classes - 1)) : "");
}

void Accuracy::add(std::span<const float> values, std::int64_t class_id) {
  const std::int64_t rank = rank_of(values, class_id);
  ++images, first += rank == 0, among_top += rank < top;
}

}  // namespace darknet
