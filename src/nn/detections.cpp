#include "core/index.h"
#include "nn/network.h"

namespace darknet {

std::vector<InputDetection> detections(const Network& net, std::int64_t image, float threshold) {
  std::vector<InputDetection> found;
  std::vector<float> host;
  for (const HeadAt& at : net.heads()) {
    const TensorView one = net.output(at.layer).images(image, 1);
    View<const float> view = one.as<float>();
    if (net.stream().device.type != DeviceType::cpu) {
      host.resize(to_size(one.shape.size()));
      Memory& device = memory(net.stream().device.type);
      device.copy_out(net.stream(), host.data(), one.data, host.size() * sizeof(float));
      device.synchronize(net.stream());
      view.data = host.data();
    }
    at.head->decode(view, net.input_shape(), threshold, found);
  }
  return found;
}

}  // namespace darknet
