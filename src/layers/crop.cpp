// [crop]: a part of the image, with values from -1 to 1 unless noadjust=1; all of it in a network
// that detects. The middle at inference; when training without ground truths of detections, a
// random place and, with flip=1, half of the images mirrored.
#include "core/for_each.h"
#include "core/rng.h"
#include "kernels/copy.h"
#include "layers/pixel_gradient.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

// Where the part of an image lies, and how it is taken.
struct CropPlace {
  std::int64_t top, left;
  bool mirrored;
};

struct CropDraw {
  Shape in, out;
  bool random, flip;
  std::uint64_t seed, stream;
  const StepState* step;

  DN_HD CropPlace of(std::int64_t image) const {
    const std::int64_t rows = in.h - out.h, columns = in.w - out.w;
    if (!random) return {rows / 2, columns / 2, false};
    const auto iteration = static_cast<std::uint64_t>(step ? step->iteration : 0);
    const std::uint64_t key = mix(seed) ^ iteration, first = static_cast<std::uint64_t>(image) * 3;
    return {below(rows + 1, random_uniform(key, stream, first)),
            below(columns + 1, random_uniform(key, stream, first + 1)),
            flip && random_uniform(key, stream, first + 2) < .5f};
  }
  DN_HD static std::int64_t below(std::int64_t n, float uniform) {
    return math::min(static_cast<std::int64_t>(uniform * static_cast<float>(n)), n - 1);
  }
};

template <class T>
struct CropForward {
  CropDraw draw;
  float scale, offset;
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& o = draw.out;
    const std::int64_t x = p % o.w, y = p / o.w % o.h, n = p / (o.w * o.h);
    const CropPlace at = draw.of(n);
    const std::int64_t from = at.mirrored ? draw.in.w - 1 - at.left - x : at.left + x;
    out.at(p, c) = scale * in.at(in.pixel(n, at.top + y, from), c) + offset;
  }
};

template <class T>
struct CropBackward {
  CropDraw draw;
  float scale;
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape &i = draw.in, &o = draw.out;
    const std::int64_t from = p % i.w, n = p / (i.w * i.h);
    const CropPlace at = draw.of(n);
    const std::int64_t y = p / i.w % i.h - at.top,
                       x = at.mirrored ? i.w - 1 - at.left - from : from - at.left;
    const bool inside = y >= 0 && x >= 0 && y < o.h && x < o.w;
    in.put(p, c, inside ? scale * gradient.at(gradient.pixel(n, y, x), c) : 0.f);
  }
};

struct CropKeys {
  std::int64_t crop_height = 1, crop_width = 1;
  bool flip = false, noadjust = false;
  template <class V>
  void fields(V&& v) {
    v("crop_height", crop_height, Integers{1, 1 << 15}, "rows of the part");
    v("crop_width", crop_width, Integers{1, 1 << 15}, "columns of the part");
    v("flip", flip, TrainingOnly{Flag{}}, "when training, mirror half of the images");
    v("noadjust", noadjust, Flag{}, "0: values x become 2 x - 1");
  }
};

class CropLayer final : public Layer {
 public:
  CropLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(crop_);
  }

  // The part keeps its share of an input that changes its size.
  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const Shape& s = in[0];
    if (first_.h == 0) first_ = s;
    if (crop_.crop_height > first_.h || crop_.crop_width > first_.w)
      fail(title(), ": a part of ", crop_.crop_width, 'x', crop_.crop_height,
           " is larger than its input of ", first_.w, 'x', first_.h);
    // Truths and detections are shares of the network's whole input.
    if (context_.truths > 0 && (crop_.crop_height < first_.h || crop_.crop_width < first_.w))
      fail(
          title(), ": takes ", crop_.crop_width, 'x', crop_.crop_height, " of its input of ",
          first_.w, 'x', first_.h,
          ", and boxes would be those of the part, not of the image; set width and height of [net] "
          "so that it takes all, or remove [crop]");
    in_ = out_ = s;
    out_.h = std::max<std::int64_t>(1, crop_.crop_height * s.h / first_.h);
    out_.w = std::max<std::int64_t>(1, crop_.crop_width * s.w / first_.w);
    return {.output = out_, .needs_input = false, .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape,
                     CropForward<T>{draw(pass), scale(), offset(), in[0].as<T>(), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    put_gradient_by_pixel(pass, a.in_gradient[0], [&]<class T>(const Sink<T>& sink) {
      return CropBackward<T>{draw(pass), scale(), a.out_gradient.as<T>(), sink};
    });
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t top = (in_.h - out_.h) / 2, left = (in_.w - out_.w) / 2;
    std::string x = in[0].name;
    if (in_ != out_) x = graph.slice(x, {{2, top, top + out_.h}, {3, left, left + out_.w}});
    x = graph.scale(x, scale());
    if (offset() != 0) return graph.add("Add", {x, graph.floats("offset", {1}, {offset()})});
    return x == in[0].name ? graph.add("Identity", {x}) : x;
  }

  LayerSummary summary() const override {
    return {.size = cat(out_.w, 'x', out_.h), .note = crop_.noadjust ? "" : "to -1..1"};
  }

 private:
  float scale() const { return crop_.noadjust ? 1 : 2; }
  float offset() const { return crop_.noadjust ? 0 : -1; }
  CropDraw draw(const Pass& pass) const {
    const auto stream = static_cast<std::uint64_t>(context_.index) << 32 |
                        static_cast<std::uint64_t>(pass.subdivision);
    return {in_,        out_,      pass.mode == Mode::training && !pass.truths.data,
            crop_.flip, pass.seed, stream,
            pass.step};
  }

  CropKeys crop_;
  Shape in_, out_, first_{.n = 0, .h = 0, .w = 0, .c = 0};
};

}  // namespace

LayerPtr make_crop(Section& section, const LayerContext& context) {
  return std::make_unique<CropLayer>(section, context);
}

void describe_crop(KeyDocs& docs) { docs.add(CropKeys{}); }

}  // namespace darknet
