// darknet import-data folder out
#include <fmt/core.h>

#include <algorithm>

#include "annotation/formats.h"
#include "annotation/split.h"
#include "annotation/write_set.h"
#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct ImportDataArguments {
  fs::path folder;
  WriteSetOptions write;
  SplitRule split;
  std::string format = "auto", names, keep = std::string(name_of(KeepTogether::file));
};

std::vector<std::string> known_formats() {
  std::vector<std::string> names{"auto"};
  for (const AnnotationFormat& format : annotation_formats()) names.emplace_back(format.name);
  return names;
}

// "cat,dog", or a file of names.
std::vector<std::string> names_given(const std::string& text) {
  if (text.empty()) return {};
  const bool names_a_file =
      text.find('/') != text.npos || text.ends_with(".txt") || text.ends_with(".names");
  if (text.find(',') == text.npos && (names_a_file || is_present(text))) return read_names(text, 0);
  std::vector<std::string> names;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    names.emplace_back(trim(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return names;
}

// Images of the splits, each once; of all of them where there are no splits.
std::vector<std::size_t> images_of(const AnnotatedSet& set,
                                   const std::vector<const AnnotatedSplit*>& splits) {
  std::vector<std::size_t> places;
  for (const AnnotatedSplit* split : splits)
    places.insert(places.end(), split->images.begin(), split->images.end());
  if (splits.empty())
    for (std::size_t i = 0; i < set.images.size(); ++i) places.push_back(i);
  std::ranges::sort(places);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

void replace_split(AnnotatedSet& set, const std::string& name, std::vector<std::size_t> images) {
  std::erase_if(set.splits, [&](const AnnotatedSplit& s) { return s.name == name; });
  set.splits.push_back({name, std::move(images)});
}

// Shares the images out where the set does not say which of them validate. Returns a sentence.
std::string choose_splits(AnnotatedSet& set, ImportDataArguments& o) {
  WriteSetOptions& to = o.write;
  const SplitRoles roles = roles_of(set, to.train, to.valid);
  if (roles.valid) {
    to.valid = roles.valid->name;
    to.train = roles.train ? roles.train->name : "";
    if (roles.train == roles.valid)
      fail("-train ", to.train, " -valid ", to.valid,
           ": images that were trained on cannot validate; name different splits");
    return roles.train ? "" : "there is no split to train on: the .data file has no train=";
  }
  std::vector<const AnnotatedSplit*> shared;
  if (roles.train)
    shared.push_back(roles.train);
  else
    for (const AnnotatedSplit& split : set.splits) shared.push_back(&split);
  const std::string of = roles.train ? cat("split '", roles.train->name, "'") : "data set";
  TrainValid made = split_images(set, images_of(set, shared), o.split);
  to.train = "train", to.valid = "valid";
  replace_split(set, to.train, std::move(made.train));
  replace_split(set, to.valid, std::move(made.valid));
  return cat("the ", of, " does not say which images validate; chosen at random: ",
             plural(std::ssize(set.splits.back().images), "image"), " (-seed ", o.split.seed,
             " -valid_share ", o.split.valid_share, " -keep ", o.keep, ")");
}

void warn_of_shared_images(const AnnotatedSet& set, const WriteSetOptions& o) {
  const auto images = [&](const std::string& name) {
    const auto at = std::ranges::find(set.splits, name, &AnnotatedSplit::name);
    std::vector<std::size_t> places =
        at == set.splits.end() ? std::vector<std::size_t>{} : at->images;
    std::ranges::sort(places);
    return places;
  };
  const auto train = images(o.train), valid = images(o.valid);
  std::vector<std::size_t> both;
  std::ranges::set_intersection(train, valid, std::back_inserter(both));
  if (!both.empty())
    log::warn(cat(o.train, " and ", o.valid, " share ", plural(std::ssize(both), "image"),
                  ", the first is ", printable(set.images[both.front()].file.string()),
                  ": an evaluation on them says nothing about new images; choose other splits with "
                  "-train and -valid"));
}

void print_splits(const AnnotatedSet& set, const WriteSetOptions& o) {
  for (const AnnotatedSplit& split : set.splits) {
    std::int64_t objects = 0;
    for (const std::size_t i : split.images) objects += std::ssize(set.images[i].objects);
    fmt::print("  {:<12} {:>14} {:>16}{}\n", printable(split.name),
               plural(std::ssize(split.images), "image"), plural(objects, "object"),
               split.name == o.train   ? "  train="
               : split.name == o.valid ? "  valid="
                                       : "");
  }
}

void print_classes(const AnnotatedSet& set) {
  std::vector<std::int64_t> objects(set.classes.size());
  std::int64_t difficult = 0;
  for (const AnnotatedImage& image : set.images)
    for (const AnnotatedObject& o : image.objects)
      ++objects[to_size(o.class_id)], difficult += o.difficult;
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < std::min(objects.size(), kShown); ++i)
    fmt::print("  {:>3} {:<20} {:>16}\n", i, shown(set.classes[i]), plural(objects[i], "object"));
  if (objects.size() > kShown) fmt::print("  and {} more\n", objects.size() - kShown);
  if (difficult > 0)
    fmt::print(
        "  difficult, or crowds: {}; they lie in difficult/, training does not see them and "
        "evaluation does not count them\n",
        plural(difficult, "object"));
}

int run_import(ImportDataArguments& o) {
  o.write.source = o.folder;
  o.split.keep = *value_of<KeepTogether>(o.keep);
  if (!is_folder(o.folder)) fail_at({o.folder.string(), 0}, "this is not a folder");
  InterruptReport interrupt(cat(printable(o.write.out.string()), " has no .data file"),
                            "while the annotations were read");
  const SourceFolder folder(o.folder);
  const AnnotationFormat& format = annotation_format(o.format, folder);
  require_import_folder(o.write);
  AnnotatedSet set = format.read(folder, names_given(o.names));
  fmt::print("{}: {}, {} of {}\n", printable(o.folder.string()), format.name,
             plural(std::ssize(set.images), "image"), plural(std::ssize(set.classes), "class"));
  print_classes(set);
  const std::string chosen = choose_splits(set, o);
  print_splits(set, o.write);
  for (const std::string& note : set.notes) fmt::print("{}\n", printable(note));
  if (!chosen.empty()) fmt::print("{}\n", printable(chosen));
  warn_of_shared_images(set, o.write);
  interrupt.at("while images and labels were written");
  const fs::path data = write_set(set, o.write);
  fmt::print("-> {0}\ncheck it with: darknet detector check {0}\n", printable(data.string()));
  return 0;
}

}  // namespace

void add_import_data(Program& program) {
  const Command command =
      program.command("import-data", "convert a data set of another tool to Darknet's layout");
  std::string footer =
      "Finds out which annotations the folder holds, and writes images/ (links, or with -copy "
      "copies), labels/, a list for each split, the names of the classes and a .data file. Where "
      "the "
      "set does not say which images validate, some are chosen: the same ones each time. Formats:";
  for (const AnnotationFormat& format : annotation_formats())
    footer += cat(" ", format.name, ", ", format.description, ";");
  footer.back() = '.';
  command.footer(footer);
  auto& o = command.options<ImportDataArguments>();
  command.argument("folder", o.folder, "the data set").required();
  command.argument("out", o.write.out, "the folder to write, new or of an earlier import")
      .required();
  command.text_option("-format", o.format, "of the annotations")
      .one_of(known_formats())
      .show_default();
  command.text_option("-names", o.names,
                      "the classes in the order of their numbers: cat,dog or a file of names (the "
                      "set's own order, or alphabetical)");
  command.text_option("-train", o.write.train, "the split to train on (train or trainval)")
      .value_name("SPLIT");
  command.text_option("-valid", o.write.valid, "the split that validates (valid, val or test)")
      .value_name("SPLIT");
  command
      .option("-valid_share", o.split.valid_share,
              "of the images, to validate where the set does not say which")
      .number_in(.001, .999)
      .show_default();
  command
      .text_option("-keep", o.keep,
                   "what that choice keeps together: file (with its augmented copies), sequence "
                   "(names that differ in their last number, frames of a video) or folder")
      .one_of(names_of<KeepTogether>())
      .show_default();
  add_seed(command, "of that choice (1)", [&o](std::uint64_t seed) { o.split.seed = seed; });
  command.flag("-copy", o.write.copy, "copy the images instead of linking to them");
  command.flag("-force", o.write.replace, "replace all that an earlier import wrote");
  command.runs([&o] { return run_import(o); });
}

}  // namespace darknet::cli
