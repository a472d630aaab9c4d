// Images that each are of one class: which class, by the path of the image or a file in its shard;
// how they become the input of a classifier; and their targets.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "core/error.h"
#include "core/rng.h"
#include "dataset/augment.h"
#include "dataset/image_paths.h"
#include "dataset/labels.h"
#include "dataset/shard_list.h"
#include "image/image_size.h"
#include "nn/classifier_keys.h"

namespace darknet {

// What the paths of images hold: the lines of labels=, else of names=. Throws where there are
// neither, or other than `classes` of them.
std::vector<std::string> class_labels(const DataFile&, std::int64_t classes);
// The classes whose names occur in the path, as in Darknet; a name that occurs within a longer one
// alone ("cat" in "caterpillar") does not count.
std::vector<std::size_t> classes_in_path(const ImagePaths&, std::size_t image,
                                         std::span<const std::string> labels);
// The only one. Throws where there is none or more than one: "LIST:LINE: PATH: ..." where a list
// names the image.
std::int32_t class_of_path(const ImagePaths&, std::size_t image,
                           std::span<const std::string> labels);
class SeveralClasses : public Error {
 public:
  using Error::Error;
};

// The class of each image of a list: in a shard with .cls files the number in its own, as in
// WebDataset; elsewhere class_of_path().
class ImageClasses {
 public:
  // Both outlive this.
  ImageClasses(const ImagePaths& images, std::span<const std::string> labels)
      : images_(images), labels_(labels) {}
  // Throws where there is none; SeveralClasses where its path holds more than one.
  std::int32_t of(std::size_t image);

 private:
  const ImagePaths& images_;
  std::span<const std::string> labels_;
  ClassFiles files_;
};
// Of every image, as one truth that covers it.
LabelledImages classified(const ImagePaths&, std::span<const std::string> labels);

// The middle of the image, as large as the input's shape allows: its shorter side fits the input
// (Darknet's resize_min and crop).
Placement centre_crop(const ImageSize&, std::int64_t height, std::int64_t width);

// The image scaled so that its shorter side has min_crop to max_crop pixels, and stretched; of it,
// a random place of the input's size, mirrored and coloured as [net] asks for.
Placement random_class_crop(const ClassifierKeys&, const ImageAugmentation&, Rng&, const ImageSize&,
                            std::int64_t height, std::int64_t width);

Mixing draw_mixing(const ClassifierKeys&, Rng&);
// The part of an input that cutmix takes from its second image: .3 to .8 of each side (Darknet).
Rect cutmix_part(Rng&, std::int64_t height, std::int64_t width);

// Adds to the targets of one image those of a class with this share of it: 1 - label_smooth_eps for
// the class, the rest shared by the others.
void add_target(std::span<float> targets, std::int32_t class_id, float share, float smooth);

}  // namespace darknet
