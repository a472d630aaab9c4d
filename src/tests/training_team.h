// A small training on one device or several, for tests of the training step.
#pragma once
#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cfg/parse.h"
#include "core/index.h"
#include "nn/running_values.h"
#include "train/random_batch.h"
#include "train/step.h"
#include "train/trainer.h"

namespace darknet::testing_team {

inline constexpr std::int64_t kBatch = 8;
inline constexpr std::int64_t kSmallBucket = 1024;  // bytes: several of such small networks

// Batch normalisation, dropout, two heads of different kinds, of which one keeps the gradients of
// its classes, an average of the weights.
inline std::vector<Section> cfg_of(std::int64_t subdivisions, const char* more = "",
                                   const char* norms = "positives,positives") {
  const std::string both = norms;
  const std::size_t comma = both.find(',');
  std::istringstream in(
      cat("[net]\nbatch=", kBatch, "\nsubdivisions=", subdivisions,
          "\nwidth=64\nheight=64\nmomentum=.9\ndecay=.0005\nema_alpha=.9\n", more,
          "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\n"
          "activation=leaky\n"
          "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\n"
          "activation=mish\n"
          "[dropout]\nprobability=.2\n"
          "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\nstride=2\npad=1\n"
          "activation=leaky\n"
          "[convolutional]\nfilters=14\nsize=1\npad=1\nactivation=linear\n"
          "[yolo]\nmask=0,1\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\nobj_loss=focal\n"
          "iou_loss=ciou\nobj_norm=",
          both.substr(0, comma),
          "\n"
          "[route]\nlayers=-4\n"
          "[convolutional]\nfilters=7\nsize=1\npad=1\nactivation=linear\n"
          "[yolo]\nmask=2\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\n"
          "cls_loss=equalized_focal\nobj_norm=",
          both.substr(comma + 1), "\n"));
  return parse_cfg(in, "net.cfg");
}

struct Trainee {
  Trainee(std::vector<Section> cfg, const NetworkOptions& options)
      : net(std::move(cfg), options), optimizer(net, net.settings()) {
    net.initialise();
    net.parameters_changed();
  }
  Network net;
  Optimizer optimizer;
};

// One training on several devices, or this rank's share of it.
struct Team {
  Team(std::int64_t subdivisions, const std::vector<Device>& devices, bool in_order = true)
      : Team(cfg_of(subdivisions), devices, in_order) {}
  Team(const std::vector<Section>& cfg, const std::vector<Device>& devices, bool in_order = true,
       const TrainingRanks& ranks = {.bucket_bytes = kSmallBucket}) {
    std::vector<Replica> replicas;
    NetworkOptions options{.mode = Mode::training,
                           .exact = true,
                           .deterministic = in_order,
                           .replicas = std::ssize(devices),
                           .seed = 5};
    for (const Device& d : devices) {
      options.device = d;
      members.push_back(std::make_unique<Trainee>(cfg, options));
      replicas.push_back({&members.back()->net, &members.back()->optimizer});
      ++options.seed;  // nothing is equal but by copy_training
      if (members.size() > 1) copy_training(replicas.front(), replicas.back());
    }
    step = std::make_unique<TrainingStep>(replicas, 3, ranks);
    step->join_ranks();
  }
  // The batch of step k lives only for the call.
  void begin(std::int64_t k, float spoiled = 0, std::int64_t image = -1) const {
    std::vector<float> pixels = random_pixels(kBatch * features(), static_cast<std::uint64_t>(k));
    const auto truths = random_truths(kBatch, 2, static_cast<std::uint64_t>(k));
    if (image >= 0) pixels[to_size(image * features() + 11)] = spoiled;
    const auto first = to_size(step->first_image()), count = to_size(step->count()),
               floats = to_size(features());
    step->begin({std::span(pixels).subspan(first * floats, count * floats),
                 std::span(truths).subspan(first, count)},
                {.iteration = k + 1, .learning_rate = .01f}, k * kBatch, true);
    std::fill(pixels.begin(), pixels.end(), -1.f);  // whoever reads them later notices
  }
  StepResult run(std::int64_t k) const {
    begin(k);
    return step->finish();
  }
  void resize(std::int64_t size) const {
    for (const auto& m : members) m->net.resize(m->net.input_shape().n, size, size);
  }
  std::int64_t enqueued() const {
    std::int64_t all = 0;
    for (const auto& m : members) all += m->net.enqueued();
    return all;
  }
  std::int64_t features() const { return members.front()->net.input_shape().features(); }
  std::vector<std::vector<float>> parameters(std::size_t member = 0,
                                             bool only_trained = false) const {
    std::vector<std::vector<float>> all;
    const Network& net = members[member]->net;
    for (const Parameter* p : net.parameters())
      if (p->trained() || !only_trained) all.push_back(p->value.to_host(net.stream()));
    return all;
  }
  std::vector<std::vector<float>> trained(std::size_t member = 0) const {
    return parameters(member, true);
  }
  // What the losses of the heads keep.
  std::vector<double> running(std::size_t member = 0) const {
    const Network& net = members[member]->net;
    std::vector<double> all;
    for (const RunningAt& at : running_values(net))
      for (const double v : at.values->to_host(net.stream())) all.push_back(v);
    return all;
  }
  Replica replica(std::size_t member) const {
    return {&members[member]->net, &members[member]->optimizer};
  }

  std::vector<std::unique_ptr<Trainee>> members;
  std::unique_ptr<TrainingStep> step;
};

inline Device cuda(int index) { return {.type = DeviceType::cuda, .index = index}; }

// Pairs of devices there are; the CPU is no fellow of a GPU.
inline std::vector<std::vector<Device>> pairs() {
  std::vector<std::vector<Device>> all{{{}, {}}};
  if (device_count(DeviceType::cuda) > 1) all.push_back({cuda(0), cuda(1)});
  return all;
}

inline std::vector<Device> singles() {
  std::vector<Device> all{{}};
  if (device_count(DeviceType::cuda) > 0) all.push_back(cuda(0));
  return all;
}

inline std::string name_of(const std::vector<Device>& devices) {
  std::string text;
  for (const Device& d : devices) text += to_string(d) + " ";
  return text;
}

}  // namespace darknet::testing_team
