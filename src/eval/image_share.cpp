#include "eval/image_share.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/together.h"

namespace darknet {

ImageShare::ImageShare(Ranks& ranks, const ImagePaths& list, std::int64_t batch)
    : ranks_(&ranks),
      images_(list.size()),
      batch_(to_size(batch)),
      rank_(to_size(ranks.rank())),
      count_(to_size(ranks.count())) {
  if (!ranks.several()) return;
  for (std::size_t i = 0; i < images_; ++i) {
    const std::string_view path = list.text(i);
    inputs_.add(path.data(), path.size());
    inputs_.add("\n", 1);
  }
}

std::size_t ImageShare::place(std::size_t i) const {
  return (i / batch_ * count_ + rank_) * batch_ + i % batch_;
}

ImagePaths ImageShare::mine(const ImagePaths& list) const {
  if (count_ == 1) return list;
  ImagePaths own;
  for (std::size_t i = 0; place(i) < images_; ++i) own.push_back(list[place(i)]);
  own.set_lists(list.lists());
  return own;
}

namespace {

// Of each rank between two exchanges. Ctrl-C ends the job after so many.
constexpr std::size_t kBatchesPerRound = 4;

using Length = std::uint64_t;

std::string packed(const std::vector<std::string>& results) {
  std::string all;
  for (const std::string& r : results) {
    const Length length = r.size();
    all.append(reinterpret_cast<const char*>(&length), sizeof length);
    all += r;
  }
  return all;
}

std::vector<std::string_view> unpacked(std::string_view all) {
  std::vector<std::string_view> results;
  while (!all.empty()) {
    Length length = 0;
    std::memcpy(&length, all.data(), sizeof length);
    results.push_back(all.substr(sizeof length, length));
    all.remove_prefix(sizeof length + length);
  }
  return results;
}

// Ranks with another list or other weights would wait for results that never come.
void require_equal_inputs(const ImageShare& share) {
  struct Inputs {
    std::uint64_t images, batch, checksum;
    bool operator==(const Inputs&) const = default;
  };
  const Inputs mine{share.images(), share.batch(), share.inputs()};
  const std::vector<Inputs> all = share.ranks().all_gather_values(mine);
  together(share.ranks(), [&] {
    if (mine != all.front())
      fail(
          "the list of images, the weights or the flags differ from those of rank 0; give every "
          "host the same");
  });
}

// Brings the results of all ranks to rank 0, a few batches at a time.
class SharedResults {
 public:
  SharedResults(const ImageShare&, const TakeResult&);

  void add(std::string result);  // of this rank's next image
  void fail_with(std::exception_ptr fault) { fault_ = std::move(fault); }  // in the next exchange
  // Exchanges what is left; `stopped`: this rank ends before its last image. Returns whether all
  // images of all ranks were handed over.
  bool finish(bool stopped);
  // Whether another rank ends before its last image, so that this one is to end, too.
  bool ended() const { return ended_; }

 private:
  std::size_t round_end() const;  // of this rank's images
  void exchange(bool stopped);
  void hand_over(const std::vector<std::string>& of_ranks);

  const ImageShare& share_;
  const TakeResult& take_;
  std::size_t mine_ = 0;           // images of this rank
  std::size_t added_ = 0;          // of them
  std::size_t round_ = 0;          // that comes next
  std::vector<std::string> kept_;  // results of this round
  std::exception_ptr fault_;       // what ended the work of this rank
  bool ended_ = false;
};

SharedResults::SharedResults(const ImageShare& share, const TakeResult& take)
    : share_(share), take_(take) {
  while (share_.place(mine_) < share_.images()) ++mine_;
}

std::size_t SharedResults::round_end() const {
  return std::min(mine_, (round_ + 1) * kBatchesPerRound * share_.batch());
}

void SharedResults::add(std::string result) {
  kept_.push_back(std::move(result));
  ++added_;
  if (added_ == round_end() && added_ < mine_) exchange(false);
}

bool SharedResults::finish(bool stopped) {
  const std::size_t round_batches = kBatchesPerRound * to_size(share_.ranks().count());
  const std::size_t rounds = (share_.batches() + round_batches - 1) / round_batches;
  while (round_ < rounds && !ended_) exchange(stopped);
  return !ended_;
}

void SharedResults::exchange(bool stopped) {
  const std::vector<std::string> of_ranks = share_.ranks().gather(packed(kept_));
  if (share_.ranks().is_first() && !fault_) try {
      hand_over(of_ranks);
    } catch (...) {
      fault_ = std::current_exception();
    }
  kept_.clear();
  ++round_;
  std::array<std::int64_t, 2> ends{stopped ? 1 : 0, fault_ ? 1 : 0};
  share_.ranks().sum(ends);
  ended_ = ends[0] > 0;
  if (ends[1] > 0)
    together(share_.ranks(), [&] {
      if (fault_) std::rethrow_exception(fault_);
    });
}

// The results of one round, of each rank; until the first that is missing, where a rank has ended
// before its last image.
void SharedResults::hand_over(const std::vector<std::string>& of_ranks) {
  std::vector<std::vector<std::string_view>> results;
  for (const std::string& r : of_ranks) results.push_back(unpacked(r));
  const std::size_t ranks = results.size(), batch = share_.batch();
  const std::size_t first = round_ * kBatchesPerRound * ranks * batch;
  const std::size_t last =
      std::min(share_.images(), (round_ + 1) * kBatchesPerRound * ranks * batch);
  for (std::size_t place = first; place < last; ++place) {
    const std::size_t here = place - first, rank = here / batch % ranks;
    const std::size_t i = here / (batch * ranks) * batch + here % batch;
    if (i >= results[rank].size()) return;
    take_(place, results[rank][i]);
  }
}

}  // namespace

bool share_results(const ImageShare& share, const std::function<bool()>& stop,
                   const TakeResult& take, const GiveResults& work) {
  bool stopped = false;
  const auto asked = [&] { return stopped = stopped || (stop && stop()); };
  if (!share.ranks().several()) {
    std::size_t place = 0;
    work(asked, [&](const std::string& bytes) { take(place++, bytes); });
    return !stopped;
  }
  require_equal_inputs(share);
  SharedResults results(share, take);
  try {
    work([&] { return asked() || results.ended(); },
         [&](std::string bytes) { results.add(std::move(bytes)); });
  } catch (const CommonFailure&) {
    throw;
  } catch (...) {
    results.fail_with(std::current_exception());
  }
  return results.finish(stopped);
}

}  // namespace darknet
