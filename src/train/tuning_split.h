// The tuning split: images by which a sweep chooses between variants, so that the validation list
// stays unseen until the choice is made. The variants are trained without them.
#pragma once
#include <string>

#include "cfg/data_file.h"
#include "dataset/image_paths.h"

namespace darknet {

inline constexpr double kTuneShare = .2;

struct TuningSplit {
  ImagePaths train, tuning;
};

// Where a split is kept: a .data file and its lists.
struct TuningFiles {
  std::filesystem::path data, train, tuning;
};

// The list tune= of the data file; where there is none, the share of the training list (0 < share <
// 1; one image at least) whose paths have the smallest hashes. A path counts from the folder of its
// list: the split is the same from every working directory, and wherever the data set lies. The
// order of the list does not matter, and a few images more change the place of few others. Throws
// where no image would be left to train on, and where the validation list holds one of the split.
TuningSplit split_for_tuning(const DataFile&, double share);

// Where the folder of a sweep has it.
TuningFiles tuning_files(const std::filesystem::path& folder);
// One path a line, for a list in `folder` that holds from every working directory: a relative path
// becomes the one from there (and an absolute one where a link leads to the folder, because then
// its ".." leads elsewhere), so that the same data in another place makes the same list.
std::string list_text(const ImagePaths&, const std::filesystem::path& folder);
// A .data file with these lists, and classes and names of `data`, by absolute paths.
std::string tuning_data_text(const DataFile& data, const TuningFiles&);
// Throws, saying what differs, where those of these files that are there, which an earlier call may
// have written, are of another split or name other classes, whichever way paths are written.
void require_kept(const TuningFiles&, const TuningSplit&, const DataFile& data);

}  // namespace darknet
