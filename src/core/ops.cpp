#include "core/ops.h"

namespace darknet {
namespace {

std::int64_t out_size(std::int64_t in, std::int64_t pad, std::int64_t extent, std::int64_t stride,
                      const char* what) {
  const std::int64_t room = in + pad - extent;
  if (room < 0)
    fail(what, " of extent ", extent, " does not fit into ", in, " pixels with ", pad,
         " of padding");
  return room / stride + 1;
}

}  // namespace

Shape ConvSpec::out() const {
  const std::int64_t extent_y = dilation * (size_y - 1) + 1, extent_x = dilation * (size_x - 1) + 1;
  return {in.n, out_size(in.h, 2 * pad_y, extent_y, stride_y, "a kernel"),
          out_size(in.w, 2 * pad_x, extent_x, stride_x, "a kernel"), filters};
}

std::int64_t ConvSpec::multiply_adds() const {
  return out().pixels() * filters * size_y * size_x * (in.c / groups);
}

Shape PoolSpec::out() const {
  return {in.n, out_size(in.h, padding, size, stride_y, "a window"),
          out_size(in.w, padding, size, stride_x, "a window"), in.c};
}

}  // namespace darknet
