#include "detect/associate.h"

#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include <cmath>
#include <cstdint>

#include "detect/overlap.h"

namespace darknet {
namespace {

using Graph = lemon::SmartDigraph;

// Overlaps as integers, which the solver adds without rounding.
constexpr double kUnit = 1 << 24;

struct Pair {
  Graph::Arc arc;
  std::int64_t weight = 0;
  std::size_t detection = 0, known = 0;
};

// One unit flows from the source through each detection, over a pair or past all of them.
class Assignment {
 public:
  Assignment(std::size_t detections, std::size_t known)
      : source_(graph_.addNode()), target_(graph_.addNode()) {
    for (std::size_t i = 0; i < detections; ++i) {
      detections_.push_back(graph_.addNode());
      graph_.addArc(source_, detections_.back());
      graph_.addArc(detections_.back(), target_);
    }
    for (std::size_t i = 0; i < known; ++i) {
      known_.push_back(graph_.addNode());
      graph_.addArc(known_.back(), target_);
    }
  }
  void allow(std::size_t detection, std::size_t known, float overlap) {
    pairs_.push_back({graph_.addArc(detections_[detection], known_[known]),
                      std::llround(kUnit * static_cast<double>(overlap)), detection, known});
  }
  std::vector<std::size_t> best() const {
    std::vector<std::size_t> match(detections_.size(), kUnmatched);
    if (pairs_.empty()) return match;
    const Graph::ArcMap<std::int64_t> capacity(graph_, 1);
    Graph::ArcMap<std::int64_t> cost(graph_, 0);
    for (const Pair& p : pairs_) cost[p.arc] = -p.weight;
    lemon::NetworkSimplex<Graph, std::int64_t> flow(graph_);
    flow.upperMap(capacity).costMap(cost).stSupply(source_, target_, std::ssize(match));
    flow.run();  // the way past all pairs is always there
    for (const Pair& p : pairs_)
      if (flow.flow(p.arc) > 0) match[p.detection] = p.known;
    return match;
  }

 private:
  Graph graph_;
  Graph::Node source_, target_;
  std::vector<Graph::Node> detections_, known_;
  std::vector<Pair> pairs_;
};

}  // namespace

std::vector<std::size_t> associate(std::span<const Detection> detections,
                                   std::span<const Detection> known, float min) {
  Assignment assignment(detections.size(), known.size());
  for (std::size_t d = 0; d < detections.size(); ++d)
    for (std::size_t k = 0; k < known.size(); ++k) {
      if (detections[d].class_id != known[k].class_id) continue;
      const float overlap = iou(detections[d].box, known[k].box);
      if (overlap >= min) assignment.allow(d, k, overlap);
    }
  return assignment.best();
}

}  // namespace darknet
