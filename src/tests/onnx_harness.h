// Runs a model of ONNX by OpenCV's dnn module, and what it should find.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <opencv2/dnn.hpp>
#include <string>
#include <vector>

#include "core/index.h"
#include "detect/head.h"
#include "onnx/files.h"
#include "tests/layer_harness.h"

namespace darknet::test {

inline std::vector<float> nchw_of(const Shape& s, const std::vector<float>& nhwc) {
  std::vector<float> planes;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t c = 0; c < s.c; ++c)
      for (std::int64_t p = 0; p < s.h * s.w; ++p)
        planes.push_back(nhwc[to_size((n * s.h * s.w + p) * s.c + c)]);
  return planes;
}

// The values of one output, the last dimension fastest. Inputs by their name.
inline std::vector<float> run_by_opencv(const OnnxModel& model,
                                        const std::map<std::string, testing_layers::Host>& inputs,
                                        const std::string& output) {
  const std::string bytes = onnx_bytes(model);
  cv::dnn::Net net = cv::dnn::readNetFromONNX(bytes.data(), bytes.size());
  for (const auto& [name, values] : inputs) {
    const Shape& s = values.shape;
    const int dims[] = {static_cast<int>(s.n), static_cast<int>(s.c), static_cast<int>(s.h),
                        static_cast<int>(s.w)};
    std::vector<float> planes = nchw_of(s, values.v);
    net.setInput(cv::Mat(4, dims, CV_32F, planes.data()).clone(), name);
  }
  const cv::Mat out = net.forward(output);
  return {out.ptr<float>(), out.ptr<float>() + out.total()};
}

// Rows of anchors as a head decodes one image: cx, cy, w, h in pixels of the network's input, the
// objectness, the classes. By anchor, then by cell.
inline std::vector<float> rows_of(const Head& head, View<const float> output, const Shape& net) {
  const HeadSettings& s = head.settings();
  const std::int64_t cells = output.shape.h * output.shape.w, entries = 5 + s.classes;
  std::vector<InputDetection> found;  // by cell, anchor and class
  head.decode(output, net, -1e9f, found);
  EXPECT_EQ(std::ssize(found), cells * s.anchors * s.classes);
  std::vector<float> rows(to_size(cells * s.anchors * entries));
  const auto w = static_cast<float>(net.w), h = static_cast<float>(net.h);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const InputDetection& d = found[i];
    const std::int64_t anchor = static_cast<std::int64_t>(i) / s.classes;
    float* const row = &rows[to_size((anchor % s.anchors * cells + anchor / s.anchors) * entries)];
    row[0] = d.box.x * w, row[1] = d.box.y * h, row[2] = d.box.w * w, row[3] = d.box.h * h;
    row[4] = d.objectness;
    row[5 + d.class_id] = d.objectness == 0 ? 0 : d.probability / d.objectness;
  }
  return rows;
}

// By `tolerance` of each value, or of 1 where that is larger.
inline void expect_near(const std::vector<float>& ours, const std::vector<float>& theirs,
                        double tolerance) {
  ASSERT_EQ(ours.size(), theirs.size());
  double worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_TRUE(std::isfinite(ours[i]) && std::isfinite(theirs[i])) << i;
    const double size = std::max(1., std::fabs(double{ours[i]}));
    worst = std::max(worst, std::fabs(double{ours[i]} - theirs[i]) / size);
  }
  EXPECT_LE(worst, tolerance);
}

}  // namespace darknet::test
