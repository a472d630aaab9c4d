// Puts an AnnotatedSet together: what the readers of all formats do in the same way.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "annotation/annotated_set.h"
#include "core/error.h"

namespace darknet {

struct Corners {
  double left = 0, top = 0, right = 0, bottom = 0;
};

class SetBuilder {
 public:
  // `names`: the classes in the order of their numbers, any other is an error. None: the names that
  // are found, in alphabetical order, unless define_classes() gives the set's own.
  explicit SetBuilder(const std::vector<std::string>& names);

  // The set's own list of classes. Without effect where the caller gave names.
  void define_classes(const std::vector<std::string>& names, const Where&);

  // Returns its place. `name`: its path below the folder of images. Throws where that leads
  // out of it, and where another image has this name up to the extension: they would share labels.
  std::size_t add_image(const std::filesystem::path& file, const std::filesystem::path& name,
                        ImageSize size);
  bool has_image(const std::filesystem::path& name) const;

  // Cuts the box to the image; a box of which nothing is left is counted and left out.
  // add_object: in pixels of the image's annotated size; right and bottom lie behind the last
  // pixel.
  void add_object(std::size_t image, const std::string& class_name, const Corners& box,
                  const Where&, bool difficult = false);
  void add_fractions(std::size_t image, const std::string& class_name, const Corners& box,
                     const Where&, bool difficult = false);
  void add_to_split(const std::string& split, std::size_t image);

  void note(const std::string& sentence) { set_.notes.push_back(sentence); }
  // Notes "`what`: 5, the first at `where`" at the end: for what happens many times.
  void count(const std::string& what, const Where&);

  // f(), whose Error waits for finish(): one call tells what is wrong in many places. The last of
  // kMaxErrors does not wait.
  template <class F>
  void attempt(F f) {
    try {
      f();
    } catch (const Error& e) {
      keep(e.what());
    }
  }

  bool sound() const { return errors_.empty(); }  // so far

  // Throws what attempt() kept, and where there is no image, or no class.
  AnnotatedSet finish();

 private:
  static constexpr std::size_t kMaxErrors = 50;
  void keep(const std::string& error);
  [[noreturn]] void fail_of_errors() const;
  std::int64_t class_id(const std::string& name, const Where&);
  struct Counted {
    std::string what, first;
    std::int64_t times = 0;
  };
  AnnotatedSet set_;
  bool fixed_ = false;                                  // no more classes
  std::unordered_map<std::string, std::int64_t> ids_;   // of class names
  std::unordered_map<std::string, std::size_t> stems_;  // images by name without extension
  std::vector<Counted> counted_;
  std::vector<std::string> errors_;
};

// A finite number of a file, which `what` names in the error.
double finite_number(std::string_view text, const char* what, const Where&);

}  // namespace darknet
