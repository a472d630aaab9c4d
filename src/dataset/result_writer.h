// Detections as files that other programs read. A format is one file, results_NAME.cpp, and one
// line in result_formats.def. What is written grows on the disk with every image and takes the
// place of the files of an earlier run in finish(), so that a run that is interrupted can have
// whole files of the images so far, and one that fails leaves the earlier ones.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "detect/box.h"
#include "image/image_size.h"

namespace darknet {

// Where results go: to `path` itself, which is a file or a folder as the format has it, or into
// the folder `path` under names of the format's own that the user may change.
struct ResultTarget {
  std::filesystem::path path;
  bool into_folder = false;
  std::string name = {};  // into_folder: of the file without extension, or the files' prefix

  // Of formats with one file, which is called STEM + extension by default.
  std::filesystem::path file(const std::string& stem, const std::string& extension) const;
  // Of formats with several files.
  std::filesystem::path file_with_prefix(const std::string& prefix, const std::string& rest) const;
};

// The images of a run, as far as they are known before.
struct ResultImages {
  ImagePaths paths;
  ImagePaths names;       // as ResultImage::name; empty: the stems
  bool open_end = false;  // more may come
};

struct ResultImage {
  std::filesystem::path path;
  std::string name;       // for names of files: the stem, or another one where images share it
  std::size_t place = 0;  // in the list, or in the order given; from 0
};

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  // Whether it writes label files, and itself guards those that are ground truth: then the run has
  // no need to protect the label files of its images.
  virtual bool writes_label_files() const { return false; }

  // Before the work, once each and in this order. They throw where a file cannot be written, would
  // replace something else than an earlier run's (core/file.h), or where the format cannot tell
  // two images or two classes apart.
  virtual void check_images(const ResultImages&) = 0;
  virtual void set_classes(const std::vector<std::string>& names) = 0;

  // Before an image is worked on; throws where the format cannot tell it from an earlier one.
  virtual void check_image(const ResultImage&) const {}
  virtual void add(const ResultImage&, const ImageSize&, std::span<const Detection>) = 0;
  // Completes the files with the images so far.
  virtual void finish() = 0;
  // What was written: files, or a folder of many.
  virtual std::vector<std::filesystem::path> outputs() const = 0;
};

struct ResultFormat {
  const char *name, *help;
  std::unique_ptr<ResultWriter> (*make)(const ResultTarget&);
};
// In the order of result_formats.def.
std::span<const ResultFormat> result_formats();
// Throws where there is no such format.
std::unique_ptr<ResultWriter> make_result_writer(const std::string& format, const ResultTarget&);

}  // namespace darknet
