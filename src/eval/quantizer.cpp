#include "eval/quantizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "dataset/loader.h"
#include "eval/predict.h"

namespace darknet {
namespace {

std::set<std::int64_t> head_inputs(const Network& net) {
  std::set<std::int64_t> layers;
  for (const HeadAt& at : net.heads()) layers.insert(net.layer(at.layer).sources().front());
  return layers;
}

// All convolutions, and which of them may compute in 8-bit integers.
std::vector<QuantizedLayer> list_layers(const Network& net, const QuantizerOptions& o) {
  const std::set<std::int64_t> before_heads = head_inputs(net);
  std::vector<QuantizedLayer> layers;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const auto work = net.layer(i).convolution();
    if (!work) continue;
    const bool depthwise = work->spec.groups > 1 && work->spec.groups == work->spec.in.c;
    QuantizedLayer l{.layer = i};
    if (before_heads.contains(i))
      l.kept = Kept::before_head;
    else if (o.keep.contains(i))
      l.kept = Kept::asked;
    else if (depthwise && !o.depthwise)
      l.kept = Kept::depthwise;
    layers.push_back(std::move(l));
  }
  return layers;
}

std::vector<std::int64_t> in_int8(const std::vector<QuantizedLayer>& layers) {
  std::vector<std::int64_t> of;
  for (const QuantizedLayer& l : layers)
    if (l.kept == Kept::int8) of.push_back(l.layer);
  return of;
}

// As many images as the batch has, or fewer.
struct Pixels {
  std::vector<float> values;
  std::int64_t images = 0;
};

// What a layer's tensor holds of the first images.
std::span<const float> values_of(const TensorView& t, std::int64_t images) {
  return {t.images(0, images).as().data, to_size(images * t.shape.features())};
}

class Watch : public LayerObserver {
 public:
  explicit Watch(Network& net) : net_(net) { net.observe(this); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() override { net_.observe(nullptr); }
  void before(std::int64_t, bool) override {}
  void after(std::int64_t, bool) override {}

  void run(const Pixels& pixels) {
    images_ = pixels.images;
    std::copy(pixels.values.begin(), pixels.values.end(), net_.input().as().data);
    net_.forward({.stream = net_.stream()});
  }

 protected:
  Network& net_;
  std::int64_t images_ = 0;  // of this pass
};

// Histograms of the inputs of convolutions.
class InputWatch final : public Watch {
 public:
  InputWatch(Network& net, const std::vector<std::int64_t>& layers) : Watch(net) {
    for (const std::int64_t i : layers) seen_[i];
  }
  void before(std::int64_t layer, bool) override {
    const auto at = seen_.find(layer);
    if (at == seen_.end()) return;
    const std::int64_t source = net_.layer(layer).sources().front();
    try {
      at->second.add(values_of(source < 0 ? net_.input() : net_.output(source), images_));
    } catch (const Error& e) {
      fail(net_.layer(layer).title(), ": its input: ", e.what());
    }
  }
  const ValueHistogram& of(std::int64_t layer) const { return seen_.at(layer); }

 private:
  std::map<std::int64_t, ValueHistogram> seen_;
};

// What the heads read, of all passes.
using HeadValues = std::map<std::int64_t, std::vector<float>>;
class HeadWatch final : public Watch {
 public:
  explicit HeadWatch(Network& net) : Watch(net), layers_(head_inputs(net)) {}
  void after(std::int64_t layer, bool) override {
    if (!layers_.contains(layer)) return;
    const auto own = values_of(net_.output(layer), images_);
    std::vector<float>& all = values_[layer];
    all.insert(all.end(), own.begin(), own.end());
  }
  HeadValues take() { return std::move(values_); }

 private:
  std::set<std::int64_t> layers_;
  HeadValues values_;
};

// Sum of the squared deviations from the mean of their channel.
double deviation(const std::vector<float>& values, std::int64_t channels) {
  const std::size_t c = to_size(channels);
  std::vector<double> mean(c);
  for (std::size_t i = 0; i < values.size(); ++i) mean[i % c] += values[i];
  for (double& m : mean) m /= static_cast<double>(values.size() / c);
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += std::pow(values[i] - mean[i % c], 2);
  return sum;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return sum;
}

class Quantizer {
 public:
  Quantizer(Network& net, const ImagePaths& images, const QuantizerOptions& o)
      : net_(net), images_(images), options_(o) {
    for (const std::int64_t layer : o.keep)
      if (layer < 0 || layer >= net.size() || !net.layer(layer).convolution())
        fail("-keep ", layer, ": ", net.where().file, " has no convolution as its layer ", layer,
             "; darknet net info lists the layers");
  }

  QuantizationReport run() {
    report_.rule = options_.rule;
    report_.layers = list_layers(net_, options_);
    if (!calibrate() || !measure_layers() || !choose()) report_.layers.clear();
    net_.set_quantization({});
    net_.parameters_changed();
    return std::move(report_);
  }

 private:
  bool stopped() const { return options_.stop && options_.stop(); }
  bool calibrate();
  bool measure_layers();
  bool choose();
  HeadValues head_values();
  double error_with(Quantization);

  Network& net_;
  const ImagePaths& images_;
  const QuantizerOptions& options_;
  QuantizationReport report_;
  std::vector<Pixels> sample_;
  HeadValues expected_;                       // in f32
  std::map<std::int64_t, double> deviation_;  // of each of them
};

ConvQuantization quantization_of(const Network& net, std::int64_t layer, const ValueHistogram& h,
                                 const RangeRule& rule) {
  const ConvolutionWork work = net.layer(layer).convolution().value();
  ConvQuantization q = input_quantization(range_of(h, rule));
  q.ranges =
      filter_ranges({work.weights, to_size(work.spec.weights())}, work.spec.filters, rule.method);
  return q;
}

// The images of the sample are spread over all of them.
bool Quantizer::calibrate() {
  const Batches batches(evaluation_batches(net_, images_));
  Loader loader(batches, {.threads = options_.threads});
  InputWatch watch(net_, in_int8(report_.layers));
  log::Progress progress("calibrating", static_cast<std::int64_t>(images_.size()));
  const auto total = static_cast<std::int64_t>(images_.size());
  std::int64_t sampled = 0;
  while (true) {
    const Batch& batch = loader.next();
    if (batch.images.empty()) break;
    if (stopped()) return false;
    Pixels pixels{batch.pixels, std::ssize(batch.images)};
    watch.run(pixels);
    report_.images += pixels.images;
    progress.at(report_.images);
    if (sampled * total < options_.sample * report_.images) {
      sampled += pixels.images;
      sample_.push_back(std::move(pixels));
    }
  }
  for (QuantizedLayer& l : report_.layers)
    if (l.kept == Kept::int8)
      l.quantization = quantization_of(net_, l.layer, watch.of(l.layer), options_.rule);
  return true;
}

HeadValues Quantizer::head_values() {
  HeadWatch watch(net_);
  for (const Pixels& pixels : sample_) watch.run(pixels);
  return watch.take();
}

double Quantizer::error_with(Quantization quantization) {
  const log::WithoutWarnings quiet;  // inference in 8-bit integers prints them later
  net_.set_quantization(std::move(quantization));
  net_.parameters_changed();
  double worst = 0;
  for (const auto& [layer, values] : head_values()) {
    const double apart = distance(values, expected_.at(layer)), of = deviation_.at(layer);
    worst = std::max(worst, apart == 0 ? 0 : std::sqrt(apart / of));
  }
  return worst;
}

bool Quantizer::measure_layers() {
  expected_ = head_values();
  for (const auto& [layer, values] : expected_)
    deviation_[layer] = deviation(values, net_.output_shape(layer).c);
  log::Progress progress("measuring layers", std::ssize(report_.layers));
  for (std::size_t i = 0; i < report_.layers.size(); ++i) {
    QuantizedLayer& l = report_.layers[i];
    if (stopped()) return false;
    if (l.kept == Kept::int8) l.error = error_with({{l.layer, l.quantization}});
    progress.at(static_cast<std::int64_t>(i) + 1);
  }
  return true;
}

bool Quantizer::choose() {
  report_.error = report_.error_of_all = error_with(report_.chosen());
  while (report_.error > options_.max_error) {
    if (stopped()) return false;
    QuantizedLayer* worst = nullptr;
    for (QuantizedLayer& l : report_.layers)
      if (l.kept == Kept::int8 && (!worst || l.error > worst->error)) worst = &l;
    if (!worst) break;
    worst->kept = Kept::error;
    report_.error = error_with(report_.chosen());
  }
  return true;
}

}  // namespace

Quantization QuantizationReport::chosen() const {
  Quantization all;
  for (const QuantizedLayer& l : layers)
    if (l.kept == Kept::int8) all[l.layer] = l.quantization;
  return all;
}

QuantizationReport quantize(Network& net, const ImagePaths& images, const QuantizerOptions& o) {
  classes_of(net);
  return Quantizer(net, images, o).run();
}

Quantization quantization_for_input(Network& net) {
  const std::vector<std::int64_t> layers = in_int8(list_layers(net, {}));
  InputWatch watch(net, layers);
  const std::span<const float> input = values_of(net.input(), net.input_shape().n);
  watch.run({{input.begin(), input.end()}, net.input_shape().n});
  Quantization all;
  for (const std::int64_t i : layers)
    all[i] = quantization_of(net, i, watch.of(i), {.method = RangeMethod::max});
  return all;
}

}  // namespace darknet
