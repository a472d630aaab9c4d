#include "comparison_samples.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"

namespace darknet::test {
namespace {

// What a network of this quality (0..1) finds of its images.
EvaluatedImage evaluated_image(double quality, std::size_t image, Rng& of_run) {
  Rng of_image(7, image);  // the same objects for all runs
  EvaluatedImage e{.width = 416, .height = 416};
  for (int k = 0; k < 6; ++k) {
    const float size = k < 3 ? .05f : k < 5 ? .15f : .35f;
    const Box box{of_image.uniform(.2f, .8f), of_image.uniform(.2f, .8f), size, size};
    e.truths.push_back({box, k % 3});
    if (of_run.uniform() > .3f + .65f * static_cast<float>(quality)) continue;
    Box found = box;
    found.x += size * of_run.uniform(-.08f, .08f), found.w *= of_run.uniform(.9f, 1.1f);
    const float p = of_run.uniform(.3f, .95f);
    e.detections.push_back({found, k % 3, std::min(1.f, p + .03f), p});
  }
  for (int k = 0; k < 8; ++k) {  // background
    const float p = .005f + .6f * std::pow(of_run.uniform(), 4.f);
    e.detections.push_back({{of_run.uniform(), of_run.uniform(), .1f, .1f}, k % 3, p, p});
  }
  return e;
}

TrainingHistory history(double quality, bool focal, Rng& random) {
  TrainingHistory h;
  for (int i = 1; i <= 300; ++i) {
    const double done = i / 300., noise = random.uniform(.9f, 1.1f);
    LoggedIteration line{.iteration = static_cast<double>(i)};
    line.loss = (focal ? 2 : 9) * std::exp(-4 * done) * noise + .3;
    line.average_loss = line.loss, line.learning_rate = .001, line.images_per_second = 40;
    line.load_seconds = .01, line.step_seconds = .1;
    if (i % 30 == 0) line.map = quality * (1 - std::exp(-5 * done));
    LoggedHead head;
    const auto set = [&](Figure f, double value) { head.figures[to_size(f)] = value; };
    set(Figure::positives, 12), set(Figure::negatives, 10000);
    const double objects = std::min(.9, .2 + .3 * quality * done * noise);
    set(Figure::gradient_positive, objects);
    set(Figure::gradient_easy_negative, (1 - objects) * (focal ? .1 : .6) * noise);
    set(Figure::p_positive, .1 + .6 * done * quality),
        set(Figure::p_negative, .02 * std::exp(-2 * done));
    set(Figure::class_loss, 2 * std::exp(-3 * done) * noise), set(Figure::box_loss, 1.5 * noise);
    line.heads = {head};
    h.add(line);
  }
  return h;
}

ComparedRun finished_run(std::size_t variant, std::uint64_t seed, std::size_t images) {
  Rng random(seed, variant + 100);
  const double quality = .45 + .04 * static_cast<double>(variant) + .05 * random.uniform();
  ComparedRun r{.variant = variant, .seed = seed, .state = RunState::finished};
  r.command = cat("darknet detector train x.data runs/s/v", variant, "/x.cfg -seed ", seed,
                  " -backup runs/s/v", variant, "-seed", seed);
  r.history = history(quality, variant > 0, random);
  for (std::size_t i = 0; i < images; ++i) r.images.push_back(evaluated_image(quality, i, random));
  const auto matched = match(r.images, 3, .5f);
  r.threshold = static_cast<float>(best_f1(matched).threshold);
  r.at50 = evaluate_matched(matched, {.classes = 3, .threshold = r.threshold});
  r.coco = coco_figures(r.images, 3);
  r.training_seconds = 33, r.negatives_per_positive = 10000. / 12;
  r.easy_negative_share = variant > 0 ? .05 : .4, r.p_positive = .5, r.p_negative = .003;
  return r;
}

}  // namespace

Comparison grid_comparison(std::size_t seeds, std::size_t images) {
  Comparison c{
      .data = "data/cells.data", .cfg = "cfg/small.cfg", .names = {"red", "white", "blue"}};
  c.variants.push_back({"ce", {"yolo.*.obj_loss=ce"}});
  for (const char* gamma : {"1", "2"})
    for (const char* alpha : {".25", ".5"})
      c.variants.push_back({cat("focal-gamma", gamma, "-alpha", alpha),
                            {"yolo.*.obj_loss=focal", cat("yolo.*.obj_gamma=", gamma),
                             cat("yolo.*.obj_alpha=", alpha)}});
  for (std::size_t s = 0; s < seeds; ++s) c.seeds.push_back(s + 1);
  for (std::size_t i = 0; i < images; ++i) c.images.push_back(cat(i, ".png"));
  c.training_images = 300, c.iterations = 300, c.objects = static_cast<std::int64_t>(6 * images);
  for (std::size_t v = 0; v < c.variants.size(); ++v)
    for (const std::uint64_t seed : c.seeds) c.runs.push_back(finished_run(v, seed, images));
  return c;
}

Comparison comparison_of(const std::vector<double>& baseline, const std::vector<double>& variant) {
  Comparison c{.data = "x.data", .cfg = "x.cfg", .variants = {{"ce", {}}, {"focal", {"k=1"}}}};
  for (std::size_t s = 0; s < baseline.size(); ++s) c.seeds.push_back(s + 1);
  for (std::size_t v = 0; v < 2; ++v)
    for (std::size_t s = 0; s < c.seeds.size(); ++s) {
      const double map = (v == 0 ? baseline : variant).at(s);
      ComparedRun r{.variant = v, .seed = c.seeds[s]};
      if (map >= 0) r.state = RunState::finished, r.at50.mean_average_precision = map;
      c.runs.push_back(std::move(r));
    }
  return c;
}

}  // namespace darknet::test
