#include "nn/input_edits.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "nn/head_types.h"
#include "nn/parameters_by_role.h"

namespace darknet {
namespace {

bool is_convolution(const Layer& layer) { return layer_type_name(layer.type()) == "convolutional"; }

// Their places: those that read what the first one with parameters of its own reads.
std::vector<std::int64_t> first_convolutions(Network& net) {
  std::vector<std::int64_t> found;
  std::int64_t source = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    Layer& layer = net.layer(i);
    if (!is_convolution(layer) || !parameters_by_role(layer).weights) continue;
    if (!found.empty() && layer.sources().front() != source) continue;
    source = layer.sources().front();
    found.push_back(i);
  }
  if (found.empty())
    fail_at({net.where().file, 0},
            "this network has no [convolutional], which alone can be changed so; "
            "change the images instead");
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const std::int64_t owner = net.layer(i).shares();
    if (owner < 0 || !is_convolution(net.layer(i))) continue;
    const bool changed = std::ranges::find(found, owner) != found.end();
    if (changed != (net.layer(i).sources().front() == source))
      fail(net.layer(i).title(), ": has the parameters of ", net.layer(owner).title(),
           " (share_index), and only one of the two reads the image: they cannot be changed for "
           "one alone; change the images instead");
  }
  return found;
}

std::vector<ParametersByRole> parameters_of_first(Network& net) {
  std::vector<ParametersByRole> all;
  for (const std::int64_t i : first_convolutions(net))
    all.push_back(parameters_by_role(net.layer(i)));
  return all;
}

}  // namespace

void swap_red_and_blue(Network& net) {
  for (const ParametersByRole& p : parameters_of_first(net)) {
    const std::int64_t channels = p.weights->value.shape().c;
    if (channels != 3)
      fail_at({net.where().file, 0},
              "red and blue cannot be swapped: the first [convolutional] "
              "reads ",
              channels,
              " channels with each filter, and not 3; only networks of colour "
              "images can be changed so");
    std::vector<float> values = p.weights->value.to_host(net.stream());
    for (std::size_t i = 0; i < values.size(); i += 3) std::swap(values[i], values[i + 2]);
    p.weights->value.copy_from(net.stream(), values);
  }
  net.parameters_changed();
}

void rescale_input(Network& net, float scale, float shift) {
  for (const ParametersByRole& p : parameters_of_first(net)) {
    std::vector<float> weights = p.weights->value.to_host(net.stream());
    // w (scale x + shift) is (scale w) x + shift w: the second goes into the bias, and in front of
    // a batch normalisation out of the mean. (Darknet: into the bias in both cases.)
    Parameter& sums = p.mean ? *p.mean : *p.bias;
    std::vector<float> constant = sums.value.to_host(net.stream());
    const std::size_t columns = weights.size() / constant.size();
    for (std::size_t row = 0; row < constant.size(); ++row) {
      double sum = 0;
      for (float& w : std::span(weights).subspan(row * columns, columns)) sum += w, w *= scale;
      constant[row] += static_cast<float>((p.mean ? -1 : 1) * shift * sum);
    }
    p.weights->value.copy_from(net.stream(), weights);
    sums.value.copy_from(net.stream(), constant);
  }
  net.parameters_changed();
}

}  // namespace darknet
