#include "image/box_motion.h"

#include "core/error.h"

#if defined(DARKNET_OPENCV)
#include <algorithm>
#include <opencv2/video/tracking.hpp>
#endif

namespace darknet {

#if defined(DARKNET_OPENCV)
namespace {

// Centre x and y, width, height, and the speed of the centre, in fractions of the image and per
// frame. Sizes change slowly: they have no speed.
constexpr int kState = 6, kSeen = 4;

// Deviations, in sizes of the box: of what a detector reports; of the first speed, before anything
// is known of it (people who walk move half their width between frames at 10 frames a second); of
// what a frame changes.
constexpr double kDetector = .05, kFirstSpeed = .5, kSizeChange = .02, kSpeedChange = .03;

double squared(double x) { return x * x; }

// Of x, y, width, height and speed, where a deviation is given in sizes of the box.
void set_diagonal(cv::Mat& to, const Box& box, double place, double size, double speed) {
  const double w = std::max<double>(box.w, 1e-4), h = std::max<double>(box.h, 1e-4);
  const double deviations[kState] = {place * w, place * h, size * w,
                                     size * h,  speed * w, speed * h};
  to.setTo(0);
  for (int i = 0; i < to.rows; ++i) to.at<double>(i, i) = squared(deviations[i]);
}

}  // namespace

struct BoxMotion::Filter {
  cv::KalmanFilter kalman{kState, kSeen, 0, CV_64F};
};

void require_box_motion() {}

BoxMotion::BoxMotion(const Box& b) : filter_(std::make_unique<Filter>()) {
  cv::KalmanFilter& k = filter_->kalman;
  cv::setIdentity(k.transitionMatrix);
  k.transitionMatrix.at<double>(0, 4) = k.transitionMatrix.at<double>(1, 5) = 1;
  cv::setIdentity(k.measurementMatrix);
  set_diagonal(k.errorCovPost, b, kDetector, kDetector, kFirstSpeed);
  const double seen[kSeen] = {b.x, b.y, b.w, b.h};
  for (int i = 0; i < kSeen; ++i) k.statePost.at<double>(i) = seen[i];
}

Box BoxMotion::predict() {
  cv::KalmanFilter& k = filter_->kalman;
  const auto at = [&](int i) { return static_cast<float>(k.statePost.at<double>(i)); };
  set_diagonal(k.processNoiseCov, {at(0), at(1), at(2), at(3)}, 0, kSizeChange, kSpeedChange);
  k.predict();  // into statePost too
  return {at(0), at(1), at(2), at(3)};
}

void BoxMotion::correct(const Box& b) {
  cv::KalmanFilter& k = filter_->kalman;
  set_diagonal(k.measurementNoiseCov, b, kDetector, kDetector, 0);
  const cv::Mat seen = (cv::Mat_<double>(kSeen, 1) << b.x, b.y, b.w, b.h);
  k.correct(seen);
}
#else
struct BoxMotion::Filter {};

void require_box_motion() {
  fail(
      "-track: this build has no OpenCV, whose Kalman filter it needs; install "
      "libopencv-video-dev and the other packages of scripts/install_deps.sh, and build again");
}

BoxMotion::BoxMotion(const Box&) { require_box_motion(); }
Box BoxMotion::predict() { return {}; }
void BoxMotion::correct(const Box&) {}
#endif

BoxMotion::BoxMotion(BoxMotion&&) noexcept = default;
BoxMotion& BoxMotion::operator=(BoxMotion&&) noexcept = default;
BoxMotion::~BoxMotion() = default;

}  // namespace darknet
