// Prints the objects in an image as `darknet detect -ext_output` does.
#include <cmath>
#include <cstdio>

#include "darknet/detector.h"

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s x.cfg x.weights image [x.names]\n", argv[0]);
    return 2;
  }
  try {
    darknet::DetectorOptions options;
    if (argc == 5) options.names = argv[4];
    options.log = [](darknet::LogLevel, const std::string& message) {
      std::fprintf(stderr, "%s\n", message.c_str());
    };
    darknet::Detector detector{argv[1], argv[2], options};
    for (const darknet::DetectedObject& object : detector.detect_file(argv[3]))
      std::printf("%s: %.0f%%\t(left_x: %4ld   top_y: %4ld   width: %4ld   height: %4ld)\n",
                  detector.class_name(object.class_id).c_str(), 100 * object.probability,
                  std::lround(object.left), std::lround(object.top), std::lround(object.width),
                  std::lround(object.height));
  } catch (const darknet::Exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
  return 0;
}
