// The paths of a list of images and the ground truths of each image, packed: lists of hundreds of
// thousands of lines are common, and a std::filesystem::path takes half a kilobyte.
#pragma once
#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/packed_lists.h"
#include "detect/box.h"

namespace darknet {

class ListLines;  // dataset/image_list.h

// Copies share their memory.
class ImagePaths {
 public:
  ImagePaths() = default;
  ImagePaths(std::initializer_list<std::filesystem::path> paths) { add(paths); }
  explicit ImagePaths(const std::vector<std::filesystem::path>& paths) { add(paths); }

  std::size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  std::filesystem::path operator[](std::size_t i) const { return path(text_[i]); }
  // The path as text; valid until the next push_back.
  std::string_view text(std::size_t i) const { return {text_[i].data(), text_[i].size()}; }
  void push_back(const std::filesystem::path& path) { text_.push_back(path.native()); }
  void reserve(std::size_t paths, std::size_t bytes) { text_.reserve(paths, bytes); }
  void append(const ImagePaths& more) {
    for (std::size_t i = 0; i < more.size(); ++i) text_.push_back(more.text_[i]);
    add_lists_of(more);
  }

  // The lists that name these images, for messages; images of the command line are in none.
  using Lists = std::vector<std::shared_ptr<const ListLines>>;
  const Lists& lists() const { return lists_; }
  void set_lists(Lists lists) { lists_ = std::move(lists); }
  void add_lists_of(const ImagePaths& others) {
    for (const auto& list : others.lists_)
      if (std::find(lists_.begin(), lists_.end(), list) == lists_.end()) lists_.push_back(list);
  }

  class Iterator : public PackedLists<char>::Iterator {
   public:
    using value_type = std::filesystem::path;
    using Base = PackedLists<char>::Iterator;
    Iterator() = default;
    explicit Iterator(Base base) : Base(base) {}
    std::filesystem::path operator*() const { return path(Base::operator*()); }
    Iterator& operator++() {
      Base::operator++();
      return *this;
    }
    Iterator operator++(int) { return Iterator(Base::operator++(0)); }
    bool operator==(const Iterator&) const = default;
  };
  Iterator begin() const { return Iterator(text_.begin()); }
  Iterator end() const { return Iterator(text_.end()); }

 private:
  static std::filesystem::path path(std::span<const char> text) {
    return std::string(text.data(), text.size());
  }
  template <class Paths>
  void add(const Paths& paths) {
    for (const std::filesystem::path& p : paths) push_back(p);
  }
  PackedLists<char> text_;
  Lists lists_;
};

// The list without those at `places`, which ascend.
inline ImagePaths without(const ImagePaths& paths, std::span<const std::size_t> places) {
  ImagePaths rest;
  for (std::size_t i = 0, k = 0; i < paths.size(); ++i)
    if (k < places.size() && places[k] == i)
      ++k;
    else
      rest.push_back(paths[i]);
  rest.set_lists(paths.lists());
  return rest;
}

// One entry per image, in file order.
class GroundTruths : public PackedLists<Truth> {
 public:
  GroundTruths() = default;
  GroundTruths(std::initializer_list<std::vector<Truth>> images) { add(images); }
  explicit GroundTruths(const std::vector<std::vector<Truth>>& images) { add(images); }

 private:
  template <class Images>
  void add(const Images& images) {
    for (const std::vector<Truth>& image : images) push_back(image);
  }
};

// Images and what is known of each; copies share their memory.
struct AnnotatedImages {
  ImagePaths images;
  GroundTruths truths, difficult;  // one entry per image; `difficult` may be empty
};

}  // namespace darknet
