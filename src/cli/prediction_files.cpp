#include "cli/prediction_files.h"

#include <fmt/format.h>

#include <map>

#include "cli/image_arguments.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/label_files.h"
#include "image/codec.h"

namespace darknet::cli {
namespace fs = std::filesystem;

std::string PredictionFiles::UnusedNames::of(const fs::path& image) {
  const std::string stem = image.stem().string();
  std::string name = stem;
  for (int i = 2; !used_.insert(name).second; ++i) name = fmt::format("{}-{}", stem, i);
  return name;
}

PredictionFiles::PredictionFiles(const PredictOptions& o, const ImagePaths& images, bool open_end)
    : options_(o),
      open_end_(open_end),
      several_(open_end || images.size() > 1),
      in_folder_(several_ || o.prefix.ends_with('/')),
      image_format_(o.prefix.empty() ? kImageFormat : kAnnotatedFormat) {
  if (is_image_name(o.out))
    throw Error(cat("-out ", printable(o.out), ": detections are no image; name a file of -format ",
                    o.format, ", or the annotated image with -prefix"),
                2);
  if (!o.out.empty()) results_ = make_result_writer(o.format, {o.out});
  const bool writes_labels = o.replace_labels || (results_ && results_->writes_label_files());
  add_images(run_inputs(), images, !writes_labels);
  for (const std::string& argument : o.images)
    if (fs::path(argument).extension() == ".txt") run_inputs().add("the list", argument);
  check_images(images);
  if (o.save_labels) check_saved_labels(images);
}

void PredictionFiles::check_images(const ImagePaths& images) const {
  if (several_ && names_written_format(options_.prefix))
    throw Error(
        cat("-prefix ", printable(options_.prefix), ": several images need the name of a folder"),
        2);
  if (in_folder_) require_writable_folder(annotated("").parent_path());
  ImagePaths names;
  UnusedNames unused;
  for (const fs::path& image : images) names.push_back(unused.of(image));
  if (results_) results_->check_images({images, names, open_end_});
  for (const fs::path& name : names) {
    if (several_)
      require_replaceable(annotated(name.string()), image_format_);
    else
      require_writable_file(annotated(name.string()), image_format_);
  }
}

void PredictionFiles::check_saved_labels(const ImagePaths& images) const {
  std::vector<fs::path> present;
  std::map<fs::path, fs::path> image_of;
  std::set<fs::path> folders;
  for (const fs::path& image : images) {
    const fs::path labels = label_path_to_write(image);
    folders.insert(labels.has_parent_path() ? labels.parent_path() : fs::path("."));
    if (is_present(labels)) present.push_back(labels);
    if (const auto [at, fresh] = image_of.emplace(labels, image); !fresh)
      fail(image.string(), ": would share the label file ", labels.string(), " with ",
           at->second.string(), "; -save_labels needs one of them in another folder");
  }
  if (!present.empty() && !options_.replace_labels)
    fail(present.front().string(), ": -save_labels replaces no label file, and of ",
         plural(std::ssize(images), "image"), ", ", present.size(),
         present.size() == 1 ? " has" : " have",
         " one already; name the others alone, or give -replace_labels");
  for (const fs::path& labels : present) require_replaceable(labels, kLabelFormat);
  for (const fs::path& folder : folders) require_writable_folder(folder);
}

void PredictionFiles::set_names(std::vector<std::string> names) {
  names_ = std::move(names);
  if (results_) results_->set_classes(names_);
}

fs::path PredictionFiles::annotated(const std::string& name) const {
  const std::string prefix = options_.prefix.empty() ? "predictions" : options_.prefix;
  if (in_folder_) return fs::path(prefix) / (name + ".jpg");
  return names_written_format(prefix) ? fs::path(prefix) : fs::path(prefix + ".jpg");
}

void PredictionFiles::check_labels_of(const fs::path& image) const {
  const fs::path labels = label_path_to_write(image);
  if (!is_present(labels)) return;
  if (!options_.replace_labels)
    fail(labels.string(), ": -save_labels replaces no label file; give -replace_labels");
  require_replaceable(labels, kLabelFormat);
}

fs::path PredictionFiles::begin(const fs::path& image) {
  image_ = {image, unused_.of(image), begun_++};
  if (open_end_) run_inputs().add("the image", image);
  if (results_) results_->check_image(image_);
  if (options_.save_labels) check_labels_of(image);
  if (image_.name != image.stem())
    log::warn(cat(image.string(), ": another image is called ", image.stem().string(),
                  " too; what is found here goes to ", image_.name));
  if (several_) require_replaceable(annotated(image_.name), image_format_);
  return annotated(image_.name);
}

fs::path PredictionFiles::add(const ImageSize& size, const std::vector<Detection>& found) {
  fs::path labels = options_.save_labels ? label_path_to_write(image_.path) : fs::path();
  if (!labels.empty()) write_file_atomically(labels, label_lines(found, false));
  if (results_) results_->add(image_, size, found);
  ++images_;
  return labels;
}

// Darknet: predictions.jpg replaces any image.
void PredictionFiles::write(const fs::path& annotated, const Image& image) const {
  if (!options_.prefix.empty()) return write_annotated_image(annotated, image);
  AtomicFile file(annotated, kImageFormat);
  file.write(marked_as_annotated(encode(image, ".jpg")));
  file.commit();
}

std::vector<fs::path> PredictionFiles::outputs() const {
  return results_ ? results_->outputs() : std::vector<fs::path>{};
}

void PredictionFiles::finish() {
  if (results_) results_->finish();
}

}  // namespace darknet::cli
