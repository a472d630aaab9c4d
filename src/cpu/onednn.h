// The few places where oneDNN 2 and oneDNN 3 differ, and small helpers around its types. Included
// in cpu/ only.
#pragma once
#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/tensor.h"

namespace darknet::onednn {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

inline const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::stream& stream() {
  static thread_local dnnl::stream s(engine());
  return s;
}

// Runs f and turns a library exception into an Error that names the call and what it was about.
template <class F>
auto checked(const char* call, const std::string& about, F f) {
  try {
    return f();
  } catch (const dnnl::error& e) {
    fail("oneDNN ", call, " (", about, "): ", e.what(), ", status ", static_cast<int>(e.status),
         e.status == dnnl_out_of_memory ? ": out of memory" : "");
  }
}

// Whether the library uses a set of instructions of x86. Its numbers have a bit for each part of a
// set, so that a larger one may lack what a smaller one has: AVX2 with VNNI is above AVX-512. On
// other architectures they mean other sets than its header names.
inline bool uses_x86_isa(dnnl::cpu_isa wanted) {
#if defined(__x86_64__)
  const auto parts = static_cast<unsigned>(wanted);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & parts) == parts;
#else
  return static_cast<void>(wanted), false;
#endif
}

// What defines a convolution or a pooling apart from its tensors.
struct Geometry {
  Dims strides, dilates, pad_begin, pad_end;
};

struct ConvTensors {
  Desc source, weights, destination;
  Desc bias;  // empty: none
};

inline dnnl::primitive_attr plain_attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

inline bool is_empty(const Desc& d) { return d.get_size() == 0; }

#if DNNL_VERSION_MAJOR >= 3
inline dnnl::convolution_forward::primitive_desc conv_forward(dnnl::prop_kind kind,
                                                              dnnl::algorithm algorithm,
                                                              const ConvTensors& t,
                                                              const Geometry& g,
                                                              const dnnl::primitive_attr& attr) {
  if (is_empty(t.bias))
    return {engine(),  kind,      algorithm,   t.source,  t.weights, t.destination,
            g.strides, g.dilates, g.pad_begin, g.pad_end, attr};
  return {engine(),      kind,      algorithm, t.source,    t.weights, t.bias,
          t.destination, g.strides, g.dilates, g.pad_begin, g.pad_end, attr};
}
// `Convolution`: dnnl::convolution_backward_data or dnnl::convolution_backward_weights.
template <class Convolution>
typename Convolution::primitive_desc conv_backward(
    dnnl::algorithm algorithm, const ConvTensors& t, const Geometry& g,
    const dnnl::convolution_forward::primitive_desc& hint) {
  return {engine(),  algorithm,   t.source,  t.weights, t.destination,     g.strides,
          g.dilates, g.pad_begin, g.pad_end, hint,      plain_attributes()};
}
inline dnnl::pooling_forward::primitive_desc pool_forward(dnnl::prop_kind kind,
                                                          dnnl::algorithm algorithm,
                                                          const Desc& source,
                                                          const Desc& destination,
                                                          const Dims& kernel, const Geometry& g) {
  return {engine(), kind,      algorithm,   source,    destination,       g.strides,
          kernel,   g.dilates, g.pad_begin, g.pad_end, plain_attributes()};
}
inline dnnl::pooling_backward::primitive_desc pool_backward(
    dnnl::algorithm algorithm, const Desc& source, const Desc& destination, const Dims& kernel,
    const Geometry& g, const dnnl::pooling_forward::primitive_desc& hint) {
  return {engine(),  algorithm,   source,    destination, g.strides,         kernel,
          g.dilates, g.pad_begin, g.pad_end, hint,        plain_attributes()};
}
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm a, float alpha, float beta = 0) {
  ops.append_eltwise(a, alpha, beta);
}
inline bool is_bf16(const Desc& d) { return d.get_data_type() == dnnl::memory::data_type::bf16; }
// The scales of an integer convolution, one for each filter: scale * sum + bias.
inline constexpr bool kBiasBeforeScales = false;
inline void set_filter_scales(dnnl::primitive_attr& attr, const std::vector<float>&, bool grouped) {
  attr.set_scales_mask(DNNL_ARG_WEIGHTS, grouped ? 3 : 1);
}
inline void add_filter_scales(std::unordered_map<int, dnnl::memory>& arguments,
                              std::vector<float>& scales) {
  const Desc desc({static_cast<dnnl::memory::dim>(scales.size())}, dnnl::memory::data_type::f32,
                  Tag::a);
  arguments.insert(
      {DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, dnnl::memory(desc, engine(), scales.data())});
}
inline constexpr auto kPoolAverage = dnnl::algorithm::pooling_avg_exclude_padding;
inline dnnl::matmul::primitive_desc matmul(const Desc& a, const Desc& b, const Desc& c,
                                           const dnnl::primitive_attr& attr) {
  return {engine(), a, b, c, attr};
}
#else
inline dnnl::convolution_forward::primitive_desc conv_forward(dnnl::prop_kind kind,
                                                              dnnl::algorithm algorithm,
                                                              const ConvTensors& t,
                                                              const Geometry& g,
                                                              const dnnl::primitive_attr& attr) {
  using Op = dnnl::convolution_forward::desc;
  const Op op = is_empty(t.bias) ? Op(kind, algorithm, t.source, t.weights, t.destination,
                                      g.strides, g.dilates, g.pad_begin, g.pad_end)
                                 : Op(kind, algorithm, t.source, t.weights, t.bias, t.destination,
                                      g.strides, g.dilates, g.pad_begin, g.pad_end);
  return {op, attr, engine()};
}
template <class Convolution>
typename Convolution::primitive_desc conv_backward(
    dnnl::algorithm algorithm, const ConvTensors& t, const Geometry& g,
    const dnnl::convolution_forward::primitive_desc& hint) {
  return {
      {algorithm, t.source, t.weights, t.destination, g.strides, g.dilates, g.pad_begin, g.pad_end},
      plain_attributes(),
      engine(),
      hint};
}
inline dnnl::pooling_forward::primitive_desc pool_forward(dnnl::prop_kind kind,
                                                          dnnl::algorithm algorithm,
                                                          const Desc& source,
                                                          const Desc& destination,
                                                          const Dims& kernel, const Geometry& g) {
  return {{kind, algorithm, source, destination, g.strides, kernel, g.pad_begin, g.pad_end},
          plain_attributes(),
          engine()};
}
inline dnnl::pooling_backward::primitive_desc pool_backward(
    dnnl::algorithm algorithm, const Desc& source, const Desc& destination, const Dims& kernel,
    const Geometry& g, const dnnl::pooling_forward::primitive_desc& hint) {
  return {{algorithm, source, destination, g.strides, kernel, g.pad_begin, g.pad_end},
          plain_attributes(),
          engine(),
          hint};
}
inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm a, float alpha, float beta = 0) {
  ops.append_eltwise(1.f, a, alpha, beta);
}
inline bool is_bf16(const Desc& d) { return d.data_type() == dnnl::memory::data_type::bf16; }
// The scales of an integer convolution, one for each filter: scale * (sum + bias).
inline constexpr bool kBiasBeforeScales = true;
inline void set_filter_scales(dnnl::primitive_attr& attr, const std::vector<float>& scales, bool) {
  attr.set_output_scales(1 << 1, scales);
}
inline void add_filter_scales(std::unordered_map<int, dnnl::memory>&, std::vector<float>&) {}
inline constexpr auto kPoolAverage = dnnl::algorithm::pooling_avg_exclude_padding;
inline dnnl::matmul::primitive_desc matmul(const Desc& a, const Desc& b, const Desc& c,
                                           const dnnl::primitive_attr& attr) {
  return {{a, b, c}, attr, engine()};
}
#endif

inline dnnl::memory::data_type data_type(DType t) {
  using Type = dnnl::memory::data_type;
  if (t == DType::u8) return Type::u8;
  return t == DType::f32 ? Type::f32 : t == DType::bf16 ? Type::bf16 : Type::f16;
}

// {n, c, h, w} of an NHWC shape, the order of oneDNN's logical dimensions.
inline Dims dims(const Shape& s) { return {s.n, s.c, s.h, s.w}; }
inline Desc nhwc(const Shape& s, DType t) { return {dims(s), data_type(t), Tag::nhwc}; }

}  // namespace darknet::onednn
