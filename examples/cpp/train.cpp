// Trains a network, prints a line for each iteration, and evaluates what came of it.
#include <cstdio>
#include <cstdlib>

#include "darknet/evaluation.h"
#include "darknet/training.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s x.data x.cfg backup_folder iterations\n", argv[0]);
    return 2;
  }
  try {
    darknet::TrainerOptions options;
    options.data = argv[1];
    options.cfg = argv[2];
    options.backup = argv[3];
    options.max_batches = std::atoll(argv[4]);
    options.seed = 1;
    options.log = [](darknet::LogLevel level, const std::string& message) {
      if (level != darknet::LogLevel::information) std::fprintf(stderr, "%s\n", message.c_str());
    };
    const darknet::TrainingResult trained =
        darknet::train(options, [](const darknet::TrainingIteration& i) {
          std::printf("%lld of %lld: loss %.3f, %.1f images/s\n",
                      static_cast<long long>(i.iteration), static_cast<long long>(i.max_batches),
                      i.loss, i.images_per_second);
          return true;  // false would save and end
        });
    const darknet::EvaluationFigures figures =
        darknet::evaluate(options.data, options.cfg, trained.weights);
    std::printf("mAP@0.5 %.4f on %lld images\n", figures.map,
                static_cast<long long>(figures.images));
  } catch (const darknet::Exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
  return 0;
}
