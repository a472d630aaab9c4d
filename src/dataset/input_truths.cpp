#include "dataset/input_truths.h"

#include <optional>

#include "core/byte_source.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/augment.h"
#include "dataset/image_sizes.h"

namespace darknet {
namespace {

std::optional<ImageSize> size_if_any(const std::filesystem::path& path) try {
  return image_size_of(path);
} catch (const SourceFailure&) {
  throw;  // the whole shard or server is gone
} catch (const Error&) {
  return std::nullopt;
}

}  // namespace

std::vector<Truth> truths_at_input(std::span<const Truth> truths, const ImageSize& image,
                                   const InputView& view) {
  std::vector<Truth> at_input(truths.begin(), truths.end());
  if (!view.letter_box) return at_input;  // the fractions are the same
  const Placement placement = plain_placement(image, view.height, view.width, true);
  for (Truth& t : at_input) t.box = to_input(t.box, placement, image, view.height, view.width);
  return at_input;
}

GroundTruths truths_at_input(const LabelledImages& labelled, const InputView& view) {
  if (!view.letter_box) return labelled.truths;
  GroundTruths all;
  log::Progress progress("reading the sizes of images", std::ssize(labelled.images));
  for (std::size_t i = 0; i < labelled.images.size(); ++i) {
    if (const auto size = size_if_any(labelled.images[i]))
      all.push_back(truths_at_input(labelled.truths[i], *size, view));
    progress.at(static_cast<std::int64_t>(i) + 1);
  }
  if (const std::size_t unknown = labelled.images.size() - all.size(); unknown > 0)
    log::warn(cat(plural(unknown, "image"), " of unreadable size not counted"));
  return all;
}

}  // namespace darknet
