#include "dataset/run_inputs.h"

#include "cfg/key_files.h"
#include "core/error.h"
#include "core/input.h"
#include "core/log.h"
#include "dataset/image_list.h"
#include "dataset/shard_list.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

void add_list(ProtectedFiles& inputs, const fs::path& list, ListedFiles listed) {
  inputs.add("the list", list);
  if (list.empty() || is_pipe(list) || listed == ListedFiles::none) return;
  inputs.add_later([list, listed](ProtectedFiles& to) {
    const log::WithoutWarnings quiet;  // the command gives them
    add_images(to, read_image_list(list), listed == ListedFiles::images_and_labels);
  });
}

}  // namespace

void add_images(ProtectedFiles& inputs, const ImagePaths& images, bool labels) {
  const ProtectedFiles::Kind image_kind = inputs.add_kind("an image");
  const ProtectedFiles::Kind label_kind = inputs.add_kind("the label file of an image");
  ShardOfPath shard_of;
  std::string last;
  for (const fs::path& image : images) {
    if (const std::string& shard = shard_of(image); !shard.empty()) {
      if (shard != last) inputs.add("the shard", last = shard);
      continue;
    }
    inputs.add(image_kind, image);
    if (labels) inputs.add(label_kind, label_path(image));
  }
}

void add_data(ProtectedFiles& inputs, const DataFile& data, ListedFiles listed) {
  inputs.add("the .data file", data.path);
  inputs.add("the names file", data.names);
  inputs.add("the labels file", data.labels);
  for (const auto& list : {data.train, data.valid, data.difficult, data.tune})
    add_list(inputs, list, listed);
}

void add_files_of_keys(ProtectedFiles& inputs, const std::vector<Section>& cfg) {
  for (const KeyFile& k : files_of_keys(cfg))
    inputs.add(cat("the file of [", cfg[k.section].type(), "] ", k.key, '='), k.file);
}

}  // namespace darknet
