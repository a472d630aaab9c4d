// .data files (where a data set lies) and .names files (what its classes are called), or a
// data.yaml of Ultralytics, which is both.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace darknet {

struct DataFile {
  std::filesystem::path path;
  std::int64_t classes = 0;  // 0: not given
  // Lists of images, folders, patterns or tar shards (dataset/image_list.h); empty: not given.
  std::filesystem::path train, valid, difficult;
  std::filesystem::path tune;    // one more: the tuning split of a sweep
  std::filesystem::path names;   // what is shown; without names=, that of labels=
  std::filesystem::path labels;  // classifiers: what paths of images hold; "": `names`
  std::int64_t top = 5;          // classifiers: guesses that count for the top-k accuracy
  std::filesystem::path backup = "backup";    // folder of the weights of a training run
  std::filesystem::path results = "results";  // folder of what detector valid writes
  std::string eval;                           // "coco": valid writes COCO's JSON
  std::int64_t save_weights = 0;              // saveweights: period of the numbered weights files
  std::map<std::string, int> lines;           // where the keys of lists stand; none of a YAML
};

// Relative paths hold from the working directory, as in Darknet, or else from the .data file's
// folder. Throws on unknown keys; keys of other Darknet forks without meaning here give one
// warning.
DataFile read_data_file(const std::filesystem::path&);
// One of its lists; throws where the key is missing, or where it names shards and a file of them
// is missing.
const std::filesystem::path& required(const DataFile&, const std::filesystem::path& list,
                                      const char* key);

// One name a line. Throws where there are other than `classes` of them (0: any number).
std::vector<std::string> read_names(const std::filesystem::path&, std::int64_t classes);
// The same, or "class 0", "class 1" ... where `names` is empty.
std::vector<std::string> names_of(const std::filesystem::path& names, std::int64_t classes);

// `path` as it stands if that exists (a pattern: if a file matches; shards: the first of them) or
// is a URL, else next to `base` if that exists, else as it stands.
std::filesystem::path resolve_next_to(const std::filesystem::path& path,
                                      const std::filesystem::path& base);

}  // namespace darknet
