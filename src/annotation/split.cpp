#include "annotation/split.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <utility>

#include "annotation/source_folder.h"
#include "core/checksum.h"
#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/text.h"

namespace darknet {
namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

std::string without_last_number(std::string stem) {
  auto end = stem.size();
  while (end > 0 && !is_digit(stem[end - 1])) --end;
  auto begin = end;
  while (begin > 0 && is_digit(stem[begin - 1])) --begin;
  return stem.erase(begin, end - begin);
}

std::string group_of(const AnnotatedImage& image, KeepTogether keep) {
  std::string folder = image.name.parent_path().string();
  if (keep == KeepTogether::folder) return folder;
  std::string stem = image.name.stem().string();
  stem = stem.substr(0, stem.find(".rf."));  // the copies that Roboflow makes of an image
  return folder + "/" + (keep == KeepTogether::sequence ? without_last_number(stem) : stem);
}

// Mixed, since the last characters of a text reach only the low bits of its checksum.
std::uint64_t order_of(const std::string& group, std::uint64_t seed) {
  return random_bits(seed, 0, checksum_of(group));
}

const AnnotatedSplit* split_named(const AnnotatedSet& set, const std::string& name) {
  const auto at = std::ranges::find(set.splits, name, &AnnotatedSplit::name);
  return at == set.splits.end() ? nullptr : &*at;
}

const AnnotatedSplit& required_split(const AnnotatedSet& set, const std::string& name) {
  if (const AnnotatedSplit* split = split_named(set, name)) return *split;
  std::vector<std::string> names;
  for (const AnnotatedSplit& split : set.splits) names.push_back(split.name);
  fail("there is no split '", shown(name), "'; the set has ",
       names.empty() ? "none" : joined(names, ", "));
}

// "train2017" is a "train".
const AnnotatedSplit* split_called(const AnnotatedSet& set,
                                   std::initializer_list<std::string_view> kinds) {
  for (const std::string_view kind : kinds)
    for (const AnnotatedSplit& split : set.splits) {
      std::string name = lower_case(split.name);
      while (!name.empty() && is_digit(name.back())) name.pop_back();
      if (name == kind) return &split;
    }
  return nullptr;
}

}  // namespace

TrainValid split_images(const AnnotatedSet& set, const std::vector<std::size_t>& places,
                        const SplitRule& rule) {
  std::map<std::pair<std::uint64_t, std::string>, std::vector<std::size_t>> groups;
  for (const std::size_t i : places) {
    const std::string group = group_of(set.images[i], rule.keep);
    groups[{order_of(group, rule.seed), group}].push_back(i);
  }
  if (groups.size() < 2)
    fail(plural(std::ssize(places), "image"), " in a single group (-keep ", name_of(rule.keep),
         "): nothing would be left for training or for validation; add images, choose another ",
         "-keep, or name the splits with -train and -valid");
  const auto wanted = std::max<std::int64_t>(
      1, std::llround(rule.valid_share * static_cast<double>(places.size())));
  TrainValid split;
  std::size_t left = groups.size();
  for (const auto& [order, images] : groups) {
    const bool validates = std::ssize(split.valid) < wanted && left-- > 1;
    auto& to = validates ? split.valid : split.train;
    to.insert(to.end(), images.begin(), images.end());
  }
  std::ranges::sort(split.train);
  std::ranges::sort(split.valid);
  return split;
}

SplitRoles roles_of(const AnnotatedSet& set, const std::string& train, const std::string& valid) {
  SplitRoles roles;
  roles.valid = valid.empty() ? split_called(set, {"valid", "val", "validation", "dev"})
                              : &required_split(set, valid);
  // VOC: trainval is train and val together, and networks are evaluated on test.
  if (valid.empty() && split_called(set, {"trainval"}))
    if (const AnnotatedSplit* test = split_called(set, {"test"})) roles.valid = test;
  if (!train.empty())
    roles.train = &required_split(set, train);
  else if (roles.valid && roles.valid == split_called(set, {"val"}))
    roles.train = split_called(set, {"train", "training"});
  else
    roles.train = split_called(set, {"trainval", "train", "training"});
  if (!roles.valid && roles.train) roles.valid = split_called(set, {"test", "testing"});
  return roles;
}

}  // namespace darknet
