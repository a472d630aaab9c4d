#include <algorithm>
#include <array>
#include <cstring>

#include "core/for_each.h"
#include "core/index.h"
#include "cpu/onednn.h"
#include "cpu/plans.h"
#include "cpu/reorder.h"

namespace darknet {
namespace {

using namespace onednn;

using PoolForwardDesc = dnnl::pooling_forward::primitive_desc;

class CpuPoolPlan final : public PoolPlan {
 public:
  CpuPoolPlan(const PoolSpec& spec, const PlanOptions& options);
  std::int64_t workspace() const override { return workspace_; }
  std::int64_t saved() const override { return static_cast<std::int64_t>(kept_.get_size()); }
  std::string description() const override { return description_; }
  void forward(const Stream&, TensorView in, TensorView out, void* saved, void* workspace) override;
  void backward(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                const void* saved, void* workspace) override;

 private:
  // The primitive for some images of the batch, and its tensors.
  struct Backward {
    std::int64_t images = 0;
    std::optional<dnnl::pooling_backward> primitive;
    Desc source, destination, kept, scratch;
  };
  dnnl::algorithm algorithm() const {
    return spec_.kind == PoolKind::max ? dnnl::algorithm::pooling_max : kPoolAverage;
  }
  Geometry geometry() const;
  PoolSpec part_of(std::int64_t images) const;
  PoolForwardDesc forward_desc(std::int64_t images) const;
  Backward make_backward(std::int64_t images);
  void make_backward();
  void run(const Backward&, void* out_gradient, void* result, const void* saved,
           void* workspace) const;

  PoolSpec spec_;
  DType type_;
  bool training_;
  Desc source_, destination_, kept_, scratch_;
  std::optional<dnnl::pooling_forward> forward_;
  Backward whole_, added_;  // what is to be added is computed in the workspace, image by image
  Reorder add_;
  std::int64_t workspace_ = 0, result_at_ = 0, reorder_scratch_at_ = 0;
  std::string description_;
};

std::string about(const PoolSpec& s) {
  return cat(to_string(s.in), " window ", s.size, "/", s.stride_y);
}

// Whether each image of `kept` lies by itself, as in the tensor it belongs to.
bool is_by_image(const Desc& kept, const Shape& out) {
  using Type = dnnl::memory::data_type;
  return is_empty(kept) || kept == Desc(dims(out), Type::u8, Tag::nhwc) ||
         kept == Desc(dims(out), Type::s32, Tag::nhwc);
}

CpuPoolPlan::CpuPoolPlan(const PoolSpec& spec, const PlanOptions& options)
    : spec_(spec),
      type_(options.precision),
      training_(options.mode == Mode::training),
      source_(nhwc(spec.in, type_)),
      destination_(nhwc(spec.out(), type_)) {
  checked("pooling", about(spec), [&] {
    const PoolForwardDesc pd = forward_desc(spec.in.n);
    description_ = cat("forward ", pd.impl_info_str());
    scratch_ = pd.scratchpad_desc();
    if (training_ && spec.kind == PoolKind::max) kept_ = pd.workspace_desc();
    forward_.emplace(pd);
    workspace_ = static_cast<std::int64_t>(scratch_.get_size());
    if (training_ && options.input_gradient) make_backward();
  });
}

Geometry CpuPoolPlan::geometry() const {
  const std::int64_t before = spec_.padding / 2, after = spec_.padding - before;
  return {{spec_.stride_y, spec_.stride_x}, {0, 0}, {before, before}, {after, after}};
}

PoolSpec CpuPoolPlan::part_of(std::int64_t images) const {
  PoolSpec part = spec_;
  part.in.n = images;
  return part;
}

PoolForwardDesc CpuPoolPlan::forward_desc(std::int64_t images) const {
  const PoolSpec part = part_of(images);
  return pool_forward(
      training_ ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
      algorithm(), nhwc(part.in, type_), nhwc(part.out(), type_), {spec_.size, spec_.size},
      geometry());
}

CpuPoolPlan::Backward CpuPoolPlan::make_backward(std::int64_t images) {
  const PoolSpec part = part_of(images);
  const PoolForwardDesc hint = forward_desc(images);
  Backward b{.images = images,
             .primitive = {},
             .source = nhwc(part.in, type_),
             .destination = nhwc(part.out(), type_),
             .kept = is_empty(kept_) ? Desc() : hint.workspace_desc(),
             .scratch = {}};
  const auto pd = pool_backward(algorithm(), b.source, b.destination, {spec_.size, spec_.size},
                                geometry(), hint);
  if (images == spec_.in.n) description_ += cat(", backward ", pd.impl_info_str());
  b.scratch = pd.scratchpad_desc();
  b.primitive.emplace(pd);
  return b;
}

void CpuPoolPlan::make_backward() {
  whole_ = make_backward(spec_.in.n);
  added_ = whole_;
  if (spec_.in.n > 1 && is_by_image(kept_, spec_.out())) {
    Backward image = make_backward(1);
    Shape one = spec_.out();
    one.n = 1;
    if (is_by_image(image.kept, one) &&
        image.kept.get_size() * to_size(spec_.in.n) == kept_.get_size())
      added_ = std::move(image);
  }
  add_ = Reorder(added_.source, added_.source, true);
  Parts areas;
  areas.take(
      static_cast<std::int64_t>(std::max(whole_.scratch.get_size(), added_.scratch.get_size())));
  result_at_ = areas.take(static_cast<std::int64_t>(added_.source.get_size()));
  reorder_scratch_at_ = areas.take(add_.scratch_bytes());
  workspace_ = std::max(workspace_, areas.total());
}

void CpuPoolPlan::forward(const Stream&, TensorView in, TensorView out, void* saved,
                          void* workspace) {
  if (!in.contiguous() || !out.contiguous()) fail("pooling of a slice of channels");
  checked("pooling", about(spec_), [&] {
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, {source_, engine(), in.data}},
        {DNNL_ARG_DST, {destination_, engine(), out.data}},
        {DNNL_ARG_SCRATCHPAD, {scratch_, engine(), workspace}}};
    if (!is_empty(kept_)) arguments.insert({DNNL_ARG_WORKSPACE, {kept_, engine(), saved}});
    forward_->execute(stream(), arguments);
    stream().wait();
  });
}

void CpuPoolPlan::backward(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                           const void* saved, void* workspace) {
  if (!out_gradient.contiguous() || !in_gradient.contiguous())
    fail("pooling of a slice of channels");
  checked("pooling backward", about(spec_), [&] {
    if (!add) return run(whole_, out_gradient.data, in_gradient.data, saved, workspace);
    void* const result = part(workspace, result_at_);
    for (std::int64_t i = 0; i < spec_.in.n; i += added_.images) {
      const char* const kept =
          static_cast<const char*>(saved) +
          i / added_.images * static_cast<std::int64_t>(added_.kept.get_size());
      run(added_, out_gradient.images(i, added_.images).data, result, kept, workspace);
      add_.run(result, in_gradient.images(i, added_.images).data,
               part(workspace, reorder_scratch_at_));
    }
    stream().wait();
  });
}

void CpuPoolPlan::run(const Backward& b, void* out_gradient, void* result, const void* saved,
                      void* workspace) const {
  std::unordered_map<int, dnnl::memory> arguments{
      {DNNL_ARG_DIFF_DST, {b.destination, engine(), out_gradient}},
      {DNNL_ARG_DIFF_SRC, {b.source, engine(), result}},
      {DNNL_ARG_SCRATCHPAD, {b.scratch, engine(), workspace}}};
  if (!is_empty(b.kept))
    arguments.insert({DNNL_ARG_WORKSPACE, {b.kept, engine(), const_cast<void*>(saved)}});
  b.primitive->execute(stream(), arguments);
  stream().wait();
}

// A row of outputs, N channels at a time.
template <std::size_t N>
struct IntegerMaxRow {
  PoolSpec spec;
  View<const std::uint8_t> in;
  View<std::uint8_t> out;

  struct Range {  // of a window, in the image
    std::int64_t begin, end;
  };
  Range window(std::int64_t o, std::int64_t stride, std::int64_t size) const {
    const std::int64_t begin = o * stride - spec.padding / 2;
    return {std::max<std::int64_t>(begin, 0), std::min(begin + spec.size, size)};
  }
  void operator()(std::int64_t row) const {
    const std::int64_t image = row / out.shape.h, w = out.shape.w;
    const Range rows = window(row % out.shape.h, spec.stride_y, in.shape.h);
    for (std::int64_t x = 0; x < w; ++x) {
      const Range columns = window(x, spec.stride_x, in.shape.w);
      for (std::int64_t c = 0; c < out.shape.c; c += N) {
        std::array<std::uint8_t, N> most{};  // no integer is less
        for (std::int64_t y = rows.begin; y < rows.end; ++y)
          for (std::int64_t i = columns.begin; i < columns.end; ++i)
            take_larger(&in.at(in.pixel(image, y, i), c), most);
        std::memcpy(&out.at(row * w + x, c), most.data(), N);
      }
    }
  }
  static void take_larger(const std::uint8_t* from, std::array<std::uint8_t, N>& most) {
    std::array<std::uint8_t, N> values;
    std::memcpy(values.data(), from, N);
    for (std::size_t k = 0; k < N; ++k) most[k] = std::max(most[k], values[k]);
  }
};

// The maximum of 8-bit integers, at inference. oneDNN 2.6 takes as long for 16 channels of a pixel
// as for 64.
class IntegerMaxPool final : public PoolPlan {
 public:
  explicit IntegerMaxPool(const PoolSpec& spec) : spec_(spec) {}
  std::int64_t workspace() const override { return 0; }
  std::int64_t saved() const override { return 0; }
  std::string description() const override { return "forward integers"; }
  void forward(const Stream& s, TensorView in, TensorView out, void*, void*) override {
    if (!in.contiguous() || !out.contiguous()) fail("pooling of a slice of channels");
    if (in.shape.c % 64 == 0)
      run<64>(s, in, out);
    else if (in.shape.c % 16 == 0)
      run<16>(s, in, out);
    else
      run<1>(s, in, out);
  }
  void backward(const Stream&, TensorView, TensorView, bool, const void*, void*) override {
    fail("pooling of integers has no gradient");
  }

 private:
  template <std::size_t N>
  void run(const Stream& s, const TensorView& in, const TensorView& out) const {
    const IntegerMaxRow<N> row{spec_, in.as<std::uint8_t>(), out.as<std::uint8_t>()};
    const std::int64_t per_row = out.shape.w * out.shape.c * spec_.size * spec_.size;
    run_on_host(s, {.rows = out.shape.n * out.shape.h, .grain = per_row}, row,
                IndexLoop<IntegerMaxRow<N>>::run);
  }
  PoolSpec spec_;
};

}  // namespace

std::shared_ptr<PoolPlan> make_cpu_pool(const PoolSpec& spec, const PlanOptions& options) {
  if (options.precision == DType::u8) return std::make_shared<IntegerMaxPool>(spec);
  return std::make_unique<CpuPoolPlan>(spec, options);
}

}  // namespace darknet
