// Charts and table of where an objectness loss comes from: figure 4 of Lin et al. 2017, histograms
// of p_t and of gradients, and the shares over training where there is a log.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "eval/objectness_statistics.h"
#include "report/chart.h"
#include "report/training_chart.h"

namespace darknet {

// Losses whose distributions over the anchors are the same are one curve with all their names.
struct LossDistribution {
  std::string name;
  LogHistogram values;
};
// Of the compared gammas and of the cfg's own loss, over the anchors of one state.
std::vector<LossDistribution> loss_distributions(const SideStatistics&, const std::string& own);
// What the cfg's loss is called: of several heads all names.
std::string own_loss_name(const ObjectnessStatistics&);

// p_t, or |dL/dx|, and the share of the anchors per bin.
std::vector<std::pair<double, double>> p_t_histogram(const SideStatistics&);
std::vector<std::pair<double, double>> gradient_histogram(const SideStatistics&);

// `history`: null where there is no log.
Chart imbalance_chart(const ObjectnessStatistics&, const TrainingHistory* history);
inline constexpr const char* kImbalanceCsvHeader = "figure,anchors,curve,x,y\n";
std::string imbalance_csv(const ObjectnessStatistics&);

}  // namespace darknet
