#include "eval/image_share.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/index.h"

namespace darknet {

ImageShare::ImageShare(Ranks& ranks, std::size_t images, std::int64_t batch)
    : ranks_(&ranks),
      images_(images),
      batch_(to_size(batch)),
      rank_(to_size(ranks.rank())),
      count_(to_size(ranks.count())) {}

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

// Brings the results of all ranks to rank 0, a few batches at a time.
class SharedResults {
 public:
  SharedResults(const ImageShare&, const TakeResult&);

  void add(std::string result);  // of this rank's next image
  // Exchanges what is left; `stopped`: this rank ends before its last image. Returns whether all
  // images of all ranks were handed over.
  bool finish(bool stopped);
  // Whether another rank ends before its last image, so that this one is to end, too.
  bool ended() const { return ended_; }

 private:
  std::size_t round_end() const;  // of this rank's images
  void exchange(bool stopped);
  void hand_over(const std::vector<std::string>& rounds);

  const ImageShare& share_;
  const TakeResult& take_;
  std::size_t mine_ = 0;           // images of this rank
  std::size_t added_ = 0;          // of them
  std::size_t round_ = 0;          // that comes next
  std::vector<std::string> kept_;  // results of this round
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
  const std::vector<std::string> rounds = share_.ranks().gather(packed(kept_));
  if (share_.ranks().is_first()) hand_over(rounds);
  kept_.clear();
  ++round_;
  std::int64_t stop = stopped ? 1 : 0;
  share_.ranks().sum(std::span(&stop, 1));
  ended_ = stop > 0;
}

// Until the first that is missing, where a rank has ended before its last image.
void SharedResults::hand_over(const std::vector<std::string>& rounds) {
  std::vector<std::vector<std::string_view>> results;
  for (const std::string& r : rounds) results.push_back(unpacked(r));
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
  SharedResults results(share, take);
  work([&] { return asked() || results.ended(); },
       [&](std::string bytes) { results.add(std::move(bytes)); });
  return results.finish(stopped);
}

}  // namespace darknet
