// What is likely to spoil a training run before it starts, each finding once and with its remedy:
// pure functions of the labels, the network and the lists. detector check, train and init print
// them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "dataset/labels.h"
#include "dataset/overlap.h"
#include "eval/imbalance.h"
#include "nn/network.h"

namespace darknet {

using Findings = std::vector<std::string>;

// The anchors of one head, in pixels of the network's input, and the side of its cells.
struct HeadAnchors {
  std::string title;
  double stride = 0;
  std::vector<AnchorShape> anchors;
};
std::vector<HeadAnchors> anchors_by_head(const Network&);

std::vector<std::int64_t> count_classes(const GroundTruths&, std::int64_t classes);

// More than 1000 epochs.
void advise_length(Findings&, std::int64_t max_batches, std::int64_t batch, std::int64_t images);
// Anchors that would suit another head of the network by a factor of two.
void advise_anchors(Findings&, std::span<const HeadAnchors>);
// Heads with more than 500 negatives to a positive that start without obj_prior. Heads below which
// one of the first `loaded_layers` layers lies have learned their share and are left out.
void advise_imbalance(Findings&, const Network&, const ImbalanceReport&,
                      std::int64_t loaded_layers = 0);
// Objects that are below 8 pixels at the network's input.
void advise_small_objects(Findings&, const ImbalanceReport&, const Shape& input);
// Classes with fewer than 10 objects for training, or with none for validation (`valid` may be
// empty: not looked at).
void advise_classes(Findings&, std::span<const std::string> names,
                    std::span<const std::int64_t> train, std::span<const std::int64_t> valid);
// Objects that a label file holds twice; no objects at all.
void advise_labels(Findings&, const LabelledImages&, const std::string& list);
// Images with more objects than a head's max= takes.
void advise_crowded(Findings&, const Network&, const GroundTruths&);
void advise_overlap(Findings&, const ListOverlap&);
// Of a classifier: classes without an image for training.
void advise_missing_classes(Findings&, std::span<const std::string> names,
                            std::span<const std::int64_t> train);

// All of the above.
struct AdviceInput {
  const Network* net = nullptr;  // made for training; null: what concerns the data set alone
  std::span<const std::string> names;
  const LabelledImages* train = nullptr;
  const LabelledImages* valid = nullptr;       // null: not looked at
  const ImbalanceReport* imbalance = nullptr;  // of `net` and `train`; null: not yet known
  std::int64_t loaded_layers = 0;
  double overlap_seconds = 10;  // for comparing the images of both lists
};
Findings advise(const AdviceInput&);

// Notices a loss that grows a hundredfold above its smallest running average, before it is not
// finite.
class DivergenceWatch {
 public:
  // A warning at the first such iteration; else "". `average`: the running average of the loss.
  std::string look(std::int64_t iteration, double average);

 private:
  std::int64_t seen_ = 0;
  double min_ = 0;
  bool warned_ = false;
};

}  // namespace darknet
