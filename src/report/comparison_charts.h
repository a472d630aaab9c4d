// The charts of a comparison (report/chart.h). Panels without data are there too; they are left
// out where charts are drawn.
#pragma once
#include "report/comparison_statistics.h"

namespace darknet {

// Metrics of every variant, a dot for each seed, with mean and interval.
Chart variants_chart(const Comparison&, const ComparisonStatistics&);
// Paired differences of mAP@0.5 to the baseline.
Chart differences_chart(const Comparison&, const ComparisonStatistics&);
// Mean mAP@0.5 over two keys, a panel for each grid that the variants form.
Chart grid_chart(const Comparison&, const ComparisonStatistics&);
// Curves of the training runs by variant; runs that diverged have a line of their own.
Chart training_chart(const Comparison&);
// What the first step's objectness gradient was made of, a dot for each run.
Chart first_step_chart(const Comparison&, const ComparisonStatistics&);
// Of the shown runs' networks at IoU .5: precision over recall of all classes together, F1 against
// the threshold, and precision over recall of the classes with most objects.
Chart precision_recall_chart(const Comparison&, const ComparisonStatistics&);
// Share of hits against confidence, the detections of all seeds together.
Chart reliability_chart(const Comparison&, const ComparisonStatistics&);

}  // namespace darknet
