#include "eval/quantization_file.h"

#include <cmath>

#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "eval/stored_json.h"

namespace darknet {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;

constexpr float kMaxScale = 1e6F;  // no input of a sound network reaches 255 of these
constexpr std::uint64_t kMaxQuantizationBytes = std::uint64_t{256} << 20;

json to_json(const QuantizedLayer& l) {
  json out{{"layer", l.layer}, {"error", l.error}};
  if (l.kept != Kept::int8) {
    out["f32"] = name_of(l.kept);
    return out;
  }
  out["scale"] = l.quantization.scale;
  out["zero_point"] = l.quantization.zero_point;
  out["ranges"] = l.quantization.ranges;
  return out;
}

float finite(const StoredJson& file, const json& value, const char* key) {
  const auto f = static_cast<float>(file.number(value, key));
  if (!std::isfinite(f)) file.fail_in(cat('"', key, "\" is too large"));
  return f;
}

ConvQuantization quantization_of(const StoredJson& file, const json& from) {
  ConvQuantization q;
  q.scale = finite(file, file.field(from, "scale"), "scale");
  if (!(std::isnormal(q.scale) && q.scale > 0 && q.scale < kMaxScale))
    file.fail_in(cat("\"scale\" is ", q.scale, ", not above 0 and below ", kMaxScale));
  q.zero_point = static_cast<std::int32_t>(file.integer(from, "zero_point", 255));
  for (const json& range : file.list(from, "ranges")) {
    q.ranges.push_back(finite(file, range, "ranges"));
    if (q.ranges.back() < 0) file.fail_in("\"ranges\" has a number below 0");
  }
  return q;
}

}  // namespace

NetworkIdentity identity_of(const Network& net, std::uint64_t weights) {
  Checksum sum;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const Layer& layer = net.layer(i);
    const LayerSummary s = layer.summary();
    std::string text = cat(layer.type(), ' ', s.filters, ' ', s.size, ' ', s.note);
    for (const std::int64_t source : layer.sources()) text += cat(' ', source);
    text += '\n';
    sum.add(text.data(), text.size());
  }
  return {.weights = weights, .layers = sum.value()};
}

fs::path quantization_path(fs::path weights) { return weights.replace_extension(".int8"); }

FileFormat quantization_format() {
  return json_format({"error", "images", "int8", "layers", "method", "network_checksum",
                      "percentile", "weights_checksum"});
}

void write_quantization(const fs::path& file, const NetworkIdentity& network,
                        const QuantizationReport& r) {
  json out{{"int8", 1},
           {"error", r.error},
           {"images", r.images},
           {"method", name_of(r.rule.method)},
           {"network_checksum", checksum_text(network.layers)},
           {"weights_checksum", checksum_text(network.weights)},
           {"layers", json::array()}};
  if (r.rule.method == RangeMethod::percentile) out["percentile"] = r.rule.percentile;
  for (const QuantizedLayer& l : r.layers) out["layers"].push_back(to_json(l));
  write_file_atomically(file, dump_json(out, 1) + "\n");
}

Quantization read_quantization(const fs::path& path, const NetworkIdentity& network) {
  const StoredJson file(path, "darknet quantize writes one", kMaxQuantizationBytes);
  if (file.field(file.root(), "int8") != 1) file.fail_in("a quantisation of an unknown form");
  file.require_checksum("weights_checksum", network.weights,
                        "this quantisation is of other weights");
  file.require_checksum("network_checksum", network.layers,
                        "this quantisation is of a cfg with other layers");
  Quantization all;
  for (const json& l : file.list(file.root(), "layers")) {
    constexpr std::int64_t kMaxLayer = 1 << 20;
    const std::int64_t layer = file.integer(l, "layer", kMaxLayer);
    if (l.contains("f32")) continue;
    if (!all.emplace(layer, quantization_of(file, l)).second)
      file.fail_in(cat("layer ", layer, " is listed twice"));
  }
  return all;
}

}  // namespace darknet
