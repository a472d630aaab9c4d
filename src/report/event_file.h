// An event file of TensorBoard, which draws scalars against the step: TFRecords of Event messages
// (tensorflow/core/util/event.proto, summary.proto; tensorflow/core/lib/io/record_writer.h).
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace darknet {

struct Scalar {
  std::string name;  // "loss", "layer_16/mean_iou": TensorBoard groups by what stands before /
  double value = 0;  // NaN: not known at this step
};

// The bytes of a file: its beginning, the mark that a run starts or resumes, one step. `seconds`
// since 1970.
std::string event_file_head(double seconds);
// Of a run that resumes behind `step`: what earlier files of the folder say of later steps is void.
std::string event_of_start(double seconds, std::int64_t step);
std::string event_of_scalars(double seconds, std::int64_t step, std::span<const Scalar>);

}  // namespace darknet
