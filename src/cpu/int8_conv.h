// Convolutions at inference in 8-bit integers (PlanOptions::int8). The plan quantises an f32 input,
// or takes integers; the library's convolution multiplies unsigned by signed integers, scales,
// biases and activates in f32, and rounds to integers where the output is to hold them.
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

// The largest magnitude of a weight's integer. With VNNI instructions of AVX-512 products are added
// in 32 bits: 127. Other instructions first add two products in 16 bits with saturation: 64, for
// 2 * 255 * 64 < 2^15.
int int8_weight_limit();

// Ops::reads_int8() and Ops::writes_int8() of the CPU.
bool int8_conv_reads_integers(const ConvSpec&, const Epilogue&);
bool int8_conv_writes_integers(const ConvSpec&, const Epilogue&);

// Null where the library has only its reference code for it and both tensors are f32. options.int8
// is not null and has a range for each filter.
std::shared_ptr<ConvPlan> make_int8_conv(const ConvSpec&, const Epilogue&, const PlanOptions&);

}  // namespace darknet
