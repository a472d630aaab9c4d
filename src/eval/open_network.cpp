#include "eval/open_network.h"

#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/out_of_memory.h"
#include "core/text.h"
#include "eval/quantization_file.h"
#include "nn/weights.h"

namespace darknet {
namespace {

void use_int8(Network& net, const std::filesystem::path& weights, std::uint64_t checksum) {
  const std::filesystem::path file = quantization_path(weights);
  Quantization quantization = read_quantization(file, identity_of(net, checksum));
  log::info(cat(plural(std::ssize(quantization), "convolution"), " in int8 by ",
                printable(file.string())));
  try {
    net.set_quantization(std::move(quantization));
  } catch (const DeviceOutOfMemory&) {
    throw;
  } catch (const Error& e) {
    throw Error(cat(file.string(), ": ", e.what()), e.exit_code());
  }
}

}  // namespace

Network open_network(std::vector<Section> cfg, const std::filesystem::path& weights,
                     const OpenOptions& o, std::uint64_t* checksum) {
  if (o.letter_box) cfg.front().set("letter_box", "1", {"-letter_box", 0});
  Network net(std::move(cfg),
              {.device = o.device, .exact = o.exact, .batch = o.batch, .tuning = o.tuning});
  const LoadedWeights loaded = load_weights(weights, net);
  if (checksum) *checksum = loaded.checksum;
  if (o.int8) use_int8(net, weights, loaded.checksum);
  net.parameters_changed();
  return net;
}

std::string precision_override(std::string_view precision) {
  return cat("net.0.precision=", precision == kInt8 ? name_of(DType::f32) : precision);
}

void require_finite_outputs(const Network& net, std::int64_t images) {
  for (const HeadAt& at : net.heads()) {
    const TensorView output = net.output(at.layer).images(0, images);
    const std::vector<float> values = to_host(net.stream(), output);
    // An anchor's classes are its last numbers, and its objectness is before them.
    const std::int64_t entries = output.shape.c / at.head->settings().anchors,
                       from_end = at.head->settings().classes + 1;
    for (std::int64_t end = entries; end <= output.shape.size(); end += entries)
      if (!std::isfinite(values[to_size(end - from_end)]))
        fail(net.layer(at.layer).title(),
             ": its objectness is not a finite number: the weights are damaged, or of a training "
             "run that diverged; take an earlier file");
  }
}

}  // namespace darknet
