#include "detect/head.h"

namespace darknet {

HeadTelemetry& HeadTelemetry::operator+=(const HeadTelemetry& o) {
  objectness_loss_positive += o.objectness_loss_positive;
  objectness_loss_negative += o.objectness_loss_negative;
  class_loss += o.class_loss;
  box_loss += o.box_loss;
  gradient_easy_negative += o.gradient_easy_negative;
  gradient_hard_negative += o.gradient_hard_negative;
  gradient_positive += o.gradient_positive;
  p_positive += o.p_positive;
  p_negative += o.p_negative;
  iou_positive += o.iou_positive;
  positives += o.positives;
  negatives += o.negatives;
  ignored += o.ignored;
  truths += o.truths;
  truths_lost += o.truths_lost;
  truths_sharing += o.truths_sharing;
  finite = finite && o.finite;
  return *this;
}

}  // namespace darknet
