#include "kernels/copy.h"

#include "core/for_each.h"

namespace darknet {
namespace {

struct CopyPixels {
  View<const float> from;
  View<float> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const { to.at(p, c) = from.at(p, c); }
};

struct AddPixels {
  View<const float> from;
  View<float> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const { to.at(p, c) += from.at(p, c); }
};

}  // namespace

void copy_pixels(const Stream& s, View<const float> from, View<float> to) {
  for_each_pixel(s, to.shape, CopyPixels{from, to});
}

void put_pixels(const Stream& s, View<const float> from, const Sink& sink) {
  if (sink.add)
    for_each_pixel(s, sink.to.shape, AddPixels{from, sink.to});
  else
    copy_pixels(s, from, sink.to);
}

}  // namespace darknet
