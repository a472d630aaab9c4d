// Post-training quantisation: which convolutions of a network compute in 8-bit integers, and with
// which scales. Ranges come from a run over images; each layer's error at the inputs of the heads
// says what it costs. Of networks for inference on the CPU, in f32.
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "eval/value_range.h"
#include "nn/network.h"

namespace darknet {

struct QuantizerOptions {
  RangeRule rule;
  std::set<std::int64_t> keep;  // layers that are to stay in f32
  double max_error = .05;       // of all together; the worst layers stay in f32 until it is kept
  bool depthwise = false;       // also convolutions of one channel a group
  std::int64_t sample = 16;     // images by which errors are measured
  int threads = 0;              // that read images; 0: chosen
  std::function<bool()> stop = nullptr;  // asked between passes; once it says yes, nothing is made
};

// Depthwise convolutions do not pay for quantising their input: they multiply each value a few
// times only, and their filters of a few weights round most.
enum class Kept : std::uint8_t { int8, before_head, depthwise, asked, error };
constexpr auto choices(Kept) {
  return std::to_array<Named<Kept>>({{"int8", Kept::int8},
                                     {"before a head", Kept::before_head},
                                     {"depthwise", Kept::depthwise},
                                     {"asked for", Kept::asked},
                                     {"error", Kept::error}});
}

// A convolution.
struct QuantizedLayer {
  std::int64_t layer = 0;
  Kept kept = Kept::int8;  // whether it computes in 8-bit integers, or why not
  double error = 0;        // with this one alone in 8-bit integers; 0 where it was not measured
  ConvQuantization quantization;
};

struct QuantizationReport {
  std::vector<QuantizedLayer> layers;  // all convolutions, in order
  double error_of_all = 0;             // before any layer was kept for its error
  double error = 0;                    // with those in 8-bit integers that are to be so
  std::int64_t images = 0;
  RangeRule rule;

  Quantization chosen() const;  // for Network::set_quantization()
};

// Errors: the difference of a head's input from the one in f32 over the deviation of that from the
// mean of its channel, both as root mean squares over the sample; of the worst head. Leaves `net`
// without quantisation. Throws where `keep` names a layer without a convolution, and where the
// network has no head. After `stop` the report has no layers.
QuantizationReport quantize(Network& net, const ImagePaths&, const QuantizerOptions&);

// Every convolution that quantize() would take, with the largest values of one pass over what
// stands in net.input(): for measuring speed, not for detecting.
Quantization quantization_for_input(Network& net);

}  // namespace darknet
