#include "nn/layer.h"

#include "core/tuning.h"
#include "nn/layer_index.h"

namespace darknet {

Layer::Layer(Section& section, const LayerContext& context)
    : context_(context), type_(section.type()), where_(section.where()) {
  section.read(keys_);
}

std::string Layer::title() const {
  return cat("layer ", context_.index, " [", type_, "] (", to_string(where_), ')');
}

std::vector<std::string> remember_algorithms(const Layer& layer, Tuning& tuning) {
  const auto work = layer.planned_convolution();
  std::vector<std::string> refused;
  if (!work) return refused;
  for (std::size_t d = 0; d < work->algorithms.size(); ++d) {
    const auto direction = static_cast<ConvDirection>(d);
    const ConvUse use = conv_use(direction, work->spec, work->options);
    const ConvChoice* const known = tuning.find(use);
    if (work->algorithms[d].empty() || (known && known->algorithm == work->algorithms[d])) continue;
    if (known && known->milliseconds > 0)
      refused.push_back(cat(layer.title(), ", ", name_of(direction), ": '", known->algorithm,
                            "', takes '", work->algorithms[d], "'"));
    tuning.put(use, {.algorithm = work->algorithms[d]});
  }
  return refused;
}

std::int64_t layer_index(const Section& section, std::string_view key, std::int64_t value,
                         const LayerContext& context) {
  const std::int64_t index = value < 0 ? context.index + value : value;
  if (index >= 0 && index < context.index) return index;
  if (context.index == 0) section.fail(key, "the first layer cannot refer to another one");
  section.fail(key, cat("there is no layer ", value, " before layer ", context.index,
                        "; expected 0 to ", context.index - 1, " or -", context.index, " to -1"));
}

std::vector<std::int64_t> layer_indices(const Section& section, std::string_view key,
                                        const std::vector<std::int64_t>& values,
                                        const LayerContext& context) {
  if (values.empty()) section.fail(key, "expected a list of layers");
  std::vector<std::int64_t> indices;
  indices.reserve(values.size());
  for (const std::int64_t v : values) indices.push_back(layer_index(section, key, v, context));
  return indices;
}

}  // namespace darknet
