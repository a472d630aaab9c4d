#include "image/opencv/kalman_motion.h"

#include <algorithm>
#include <opencv2/video/tracking.hpp>

namespace darknet::opencv {
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

class KalmanMotion : public BoxMotion {
 public:
  explicit KalmanMotion(const Box& b) {
    cv::setIdentity(kalman_.transitionMatrix);
    kalman_.transitionMatrix.at<double>(0, 4) = kalman_.transitionMatrix.at<double>(1, 5) = 1;
    cv::setIdentity(kalman_.measurementMatrix);
    set_diagonal(kalman_.errorCovPost, b, kDetector, kDetector, kFirstSpeed);
    const double seen[kSeen] = {b.x, b.y, b.w, b.h};
    for (int i = 0; i < kSeen; ++i) kalman_.statePost.at<double>(i) = seen[i];
  }
  Box predict() override {
    const auto at = [&](int i) { return static_cast<float>(kalman_.statePost.at<double>(i)); };
    set_diagonal(kalman_.processNoiseCov, {at(0), at(1), at(2), at(3)}, 0, kSizeChange,
                 kSpeedChange);
    kalman_.predict();  // into statePost too
    return {at(0), at(1), at(2), at(3)};
  }
  void correct(const Box& b) override {
    set_diagonal(kalman_.measurementNoiseCov, b, kDetector, kDetector, 0);
    kalman_.correct((cv::Mat_<double>(kSeen, 1) << b.x, b.y, b.w, b.h));
  }

 private:
  cv::KalmanFilter kalman_{kState, kSeen, 0, CV_64F};
};

}  // namespace

std::unique_ptr<BoxMotion> kalman_motion(const Box& first_seen) {
  return std::make_unique<KalmanMotion>(first_seen);
}

}  // namespace darknet::opencv
