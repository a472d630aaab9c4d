// Evaluation by several processes (core/ranks.h): the images of a list shared out over the ranks,
// and their results handed over in rank 0 in the order of the list. With as many threads and the
// same kind of processor in every rank, the results are those of a single process to the last bit.
#pragma once
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/checksum.h"
#include "core/ranks.h"
#include "dataset/image_paths.h"

namespace darknet {

// Whole batches, rank after rank in turn, so that every batch holds the images that it holds in a
// single process.
class ImageShare {
 public:
  // In batches of `batch` images; the ranks outlive this.
  ImageShare(Ranks&, const ImagePaths& list, std::int64_t batch);

  // What has to be equal in all ranks next to the list: share_results() throws where it is not.
  template <class T>
  void add_input(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    inputs_.add(values.data(), values.size_bytes());
  }
  std::uint64_t inputs() const { return inputs_.value(); }  // a checksum of the list and these

  ImagePaths mine(const ImagePaths& list) const;
  // In the list, of this rank's image number `i`; beyond the list's end: it has no such image.
  std::size_t place(std::size_t i) const;

  Ranks& ranks() const { return *ranks_; }
  std::size_t images() const { return images_; }  // of the list
  std::size_t batch() const { return batch_; }
  std::size_t batches() const { return (images_ + batch_ - 1) / batch_; }  // of the list

 private:
  Ranks* ranks_;
  std::size_t images_, batch_, rank_, count_;
  Checksum inputs_;  // with several ranks
};

// Does `work` in every rank, which gives the results of this rank's images one after the other, as
// bytes, until `stop` says yes (asked between batches), and hands those of all ranks to `take`: in
// rank 0, in the order of the list. Returns whether all were handed over, the same in every rank;
// once one rank stops, all do. What `work` and `take` throw in one rank, all throw
// (core/together.h).
using TakeResult = std::function<void(std::size_t place, std::string_view bytes)>;
using GiveResults = std::function<void(const std::function<bool()>& stop,
                                       const std::function<void(std::string bytes)>& give)>;
bool share_results(const ImageShare&, const std::function<bool()>& stop, const TakeResult& take,
                   const GiveResults& work);

// An array of plain values as such bytes, and back.
template <class T>
std::string to_bytes(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}
template <class T>
std::vector<T> from_bytes(std::string_view bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace darknet
