#include "eval/evaluation_set.h"

#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "dataset/image_list.h"

namespace darknet {
namespace {

// `difficult` lists the same images; their labels lie in a folder of their own next to it.
GroundTruths difficult_truths(const DataFile& data, const LabelledImages& labelled,
                              std::int64_t classes, BadLabels bad) {
  if (data.difficult.empty()) return {};
  ImagePaths all_difficult = read_image_list(data.difficult);
  all_difficult.set_lists({});  // its labels count, its images need not be there
  const std::size_t listed = labelled.images.size() + labelled.left_out.size();
  if (all_difficult.size() != listed)
    fail_at({data.difficult.string(), 0}, "lists ", plural(std::ssize(all_difficult), "image"),
            ", valid lists ", listed);
  const ImagePaths difficult = without(all_difficult, labelled.left_out);
  for (std::size_t i = 0; i < difficult.size(); ++i)
    if (difficult[i].filename() != labelled.images[i].filename())
      fail_at({data.difficult.string(), 0}, "image ", i + 1, " is ", difficult[i].string(),
              ", in valid it is ", labelled.images[i].string());
  LabelledImages all = read_all_labels(difficult, classes, bad);
  if (!all.left_out.empty())
    fail_at({data.difficult.string(), 0}, all.left_out.size(),
            " of its images have no label file: those of difficult objects must all be there");
  return std::move(all.truths);
}

}  // namespace

EvaluationSet read_validation_set(const DataFile& data, std::int64_t classes, BadLabels bad) {
  LabelledImages labelled =
      read_all_labels(read_image_list(required(data, data.valid, "valid")), classes, bad);
  GroundTruths difficult = difficult_truths(data, labelled, classes, bad);
  return {std::move(labelled.images), std::move(labelled.truths), std::move(difficult)};
}

EvaluationSet read_labelled_set(const std::filesystem::path& list, std::int64_t classes,
                                BadLabels bad) {
  LabelledImages labelled = read_all_labels(read_image_list(list), classes, bad);
  return {std::move(labelled.images), std::move(labelled.truths), {}};
}

}  // namespace darknet
