// What the formats of results make of detections, as text.
#pragma once
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/index.h"
#include "dataset/detection_files.h"
#include "dataset/result_writer.h"

namespace darknet::test {

// The files that a writer leaves in a folder of its own: names and bytes.
inline std::map<std::string, std::string> written_results(
    const std::string& format, const ImageSet& set,
    const std::vector<std::vector<Detection>>& detections) {
  constexpr std::uint64_t kMaxBytes = 1 << 20;
  const auto folder =
      std::filesystem::temp_directory_path() / ("dn-results-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto writer = make_result_writer(format, {folder, true});
  writer->check_images({set.images});
  writer->set_classes(set.names);
  for (std::size_t i = 0; i < detections.size(); ++i)
    writer->add({set.images[i], set.images[i].stem().string(), i}, set.sizes[i], detections[i]);
  writer->finish();
  std::map<std::string, std::string> files;
  for (const auto& path : entries_of(folder))
    files[path.filename().string()] = read_file(path, kMaxBytes);
  std::filesystem::remove_all(folder);
  return files;
}

inline std::string coco_results(const ImageSet& set,
                                const std::vector<std::vector<Detection>>& detections) {
  return written_results("coco", set, detections).at("coco_results.json");
}
// Of one class.
inline std::string voc_results(const ImageSet& set,
                               const std::vector<std::vector<Detection>>& detections,
                               std::int64_t class_id) {
  const std::string& name = set.names[to_size(class_id)];
  return written_results("voc", set, detections).at("comp4_det_test_" + name + ".txt");
}

}  // namespace darknet::test
