// Classifiers of whole images: the probabilities that a network gives an image, and how often its
// first guesses are right. Detections are eval/predict.h.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dataset/batches.h"
#include "dataset/image_paths.h"
#include "dataset/loader.h"
#include "eval/image_share.h"
#include "image/image.h"
#include "nn/network.h"

namespace darknet {

struct DataFile;  // cfg/data_file.h

// The values of the last layer for an image. Throws where the network has a detection head, or no
// [softmax], [logistic] or [cost] against whose targets it is trained, followed by [cost] alone.
std::int64_t class_count(const Network&);
// The same; throws where the .data file gives another number.
std::int64_t class_count(const Network&, const DataFile&);

// The largest values' places, the largest first; of equal ones the first.
std::vector<std::int64_t> top_classes(std::span<const float> values, std::int64_t count);
// How many classes come before this one in that order.
std::int64_t rank_of(std::span<const float> values, std::int64_t class_id);

// The values for one image, of which the middle is taken (centre_crop() in
// dataset/class_targets.h); `net` was made for inference with a batch of 1. Throws where they are
// not finite.
std::vector<float> classify(Network& net, const Image&);

// Batches for classify_images(): each image once, in order, its middle.
BatchSettings classification_batches(const Network&, const ImagePaths&);
// Hands over the values for each image, in the order of the list, until `stop` says yes; in rank 0.
// The loader: of this rank's share. Returns whether all were handed over, the same in every rank.
bool classify_images(Network& net, Loader&, const ImageShare&, const std::function<bool()>& stop,
                     const std::function<void(std::size_t image, std::span<const float>)>& take);

// Where k is not below the number of classes: that every image is among the first k, and what to
// do.
std::string trivial_top(std::int64_t top, std::int64_t classes);

struct Accuracy {
  std::int64_t images = 0, first = 0, among_top = 0;  // right at once; among the first `top`
  std::int64_t top = 5;
  void add(std::span<const float> values, std::int64_t class_id);
  double top1() const { return share(first); }
  double topk() const { return share(among_top); }

 private:
  double share(std::int64_t right) const {
    return images > 0 ? static_cast<double>(right) / static_cast<double>(images) : 0;
  }
};

}  // namespace darknet
