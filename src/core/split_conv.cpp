#include "core/split_conv.h"

#include <algorithm>

#include "core/error.h"

namespace darknet {
namespace {

std::int64_t largest_image(const ConvSpec& s) {
  return std::max(s.in.features(), s.out().features());
}

class SplitConv final : public ConvPlan {
 public:
  SplitConv(const ConvSpec& spec, std::int64_t images, const MakeConv& make)
      : total_(spec.in.n), images_(images) {
    ConvSpec some = spec;
    some.in.n = images;
    whole_ = make(some, {});
    some.in.n = total_ % images;
    if (some.in.n > 0) rest_ = make(some, {});
  }

  Epilogue fused() const override { return {}; }
  std::int64_t workspace() const override {
    return std::max(whole_->workspace(), rest_ ? rest_->workspace() : 0);
  }
  std::int64_t packed_weights() const override {
    return whole_->packed_weights() + (rest_ ? rest_->packed_weights() : 0);
  }
  std::string description() const override {
    return cat(images_, " of ", total_, " images at a time, ", whole_->description());
  }

  void set_weights(const Stream& s, const float* weights, void* workspace) override {
    whole_->set_weights(s, weights, workspace);
    if (rest_) rest_->set_weights(s, weights, workspace);
  }
  void forward(const Stream& s, TensorView in, const float* bias, TensorView out,
               void* workspace) override {
    for_parts([&](ConvPlan& plan, std::int64_t first, std::int64_t n) {
      plan.forward(s, in.images(first, n), bias, out.images(first, n), workspace);
    });
  }
  void backward_data(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override {
    for_parts([&](ConvPlan& plan, std::int64_t first, std::int64_t n) {
      plan.backward_data(s, out_gradient.images(first, n), in_gradient.images(first, n), add,
                         workspace);
    });
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override {
    for_parts([&](ConvPlan& plan, std::int64_t first, std::int64_t n) {
      plan.backward_weights(s, in.images(first, n), out_gradient.images(first, n), weight_gradient,
                            workspace);
    });
  }

 private:
  template <class F>
  void for_parts(F f) {
    for (std::int64_t first = 0; first < total_; first += images_)
      f(total_ - first < images_ ? *rest_ : *whole_, first, std::min(images_, total_ - first));
  }

  std::int64_t total_, images_;  // at a time
  std::shared_ptr<ConvPlan> whole_, rest_;
};

}  // namespace

std::shared_ptr<ConvPlan> split_along_batch(const ConvSpec& spec, const Epilogue& epilogue,
                                            std::int64_t max_elements, const MakeConv& make) {
  const std::int64_t images = max_elements / largest_image(spec);
  if (images >= spec.in.n) return make(spec, epilogue);
  if (images == 0)
    fail("a convolution of ", to_string(spec.in), " with ", spec.filters,
         " filters: one image has more than ", max_elements, " elements");
  return std::make_unique<SplitConv>(spec, images, make);
}

}  // namespace darknet
