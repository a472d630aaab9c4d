#include "dataset/overlap.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "core/byte_source.h"
#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/start_thread.h"
#include "core/tar_shard.h"
#include "core/threads.h"
#include "dataset/data_set_files.h"
#include "image/perceptual_hash.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxImageBytes = std::uint64_t{1} << 30;
constexpr auto kReportEvery = std::chrono::milliseconds(100);

std::uintmax_t size_of(const fs::path& path) {
  std::error_code failed;
  try {
    if (const auto member = through_shard(path)) return member->place ? member->place->bytes : 0;
  } catch (const SourceFailure&) {
    throw;  // the whole shard or server is gone
  } catch (const Error&) {
    return 0;
  }
  const std::uintmax_t size = fs::file_size(path, failed);
  return failed ? 0 : size;
}

// Nothing where the file cannot be read.
std::optional<std::uint64_t> checksum_of_image(const fs::path& path) try {
  return checksum_of(read_file(path, kMaxImageBytes));
} catch (const SourceFailure&) {
  throw;
} catch (const Error&) {
  return std::nullopt;
}

bool same_bytes(const fs::path& a, const fs::path& b) try {
  return read_file(a, kMaxImageBytes) == read_file(b, kMaxImageBytes);
} catch (const SourceFailure&) {
  throw;
} catch (const Error&) {
  return false;
}

// An order in which every beginning is spread over the whole list.
std::vector<std::size_t> spread_order(std::size_t n) {
  std::size_t step = n * 618 / 1000 + 1;
  while (std::gcd(step, n) != 1) ++step;
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i * step % n;
  return order;
}

using Prints = std::vector<std::optional<ImagePrint>>;

// The prints of a list's images, as many as can be had until `end`.
Prints prints_of(const ImagePaths& paths, Clock::time_point end, std::int64_t& done) {
  Prints prints(paths.size());
  const std::vector<std::size_t> order = spread_order(paths.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t k = next++; k < order.size() && Clock::now() < end; k = next++) try {
        prints[order[k]] = print_of(read_image(paths[order[k]]));
      } catch (const SourceFailure&) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
        next = order.size();
      } catch (const Error&) {
        continue;
      } catch (const std::bad_alloc&) {  // too little memory for it next to the others
        continue;
      }
  };
  std::vector<std::thread> threads = start_threads(core_count(), work);
  if (threads.empty()) {
    work();
  } else {
    log::Progress progress("comparing images", std::ssize(paths));
    while (next < order.size() && Clock::now() < end) {
      std::this_thread::sleep_for(kReportEvery);
      progress.at(static_cast<std::int64_t>(std::min(next.load(), order.size())));
    }
  }
  for (std::thread& t : threads) t.join();
  if (failure) std::rethrow_exception(failure);
  done = 0;
  for (const auto& print : prints) done += print.has_value();
  return prints;
}

class Search {
 public:
  Search(const ImagePaths& train, const ImagePaths& valid)
      : train_(train), valid_(valid), found_(valid.size()) {
    result_.images = std::ssize(valid);
  }
  ListOverlap run(double seconds) {
    by_path();
    by_bytes();
    by_pixels(seconds);
    return result_;
  }

 private:
  void found(std::size_t v, std::size_t t, std::int64_t& kind) {
    if (result_.all() == 0)
      result_.first = valid_[v].string(), result_.first_partner = train_[t].string();
    found_[v] = true;
    ++kind;
  }
  void by_path();
  void by_bytes();
  void by_pixels(double seconds);

  const ImagePaths &train_, &valid_;
  std::vector<bool> found_;
  ListOverlap result_;
};

void Search::by_path() {
  const auto plain = [](const fs::path& path) { return whole_path(path).string(); };
  std::vector<std::pair<std::uint64_t, std::size_t>>
      known;  // not the paths, of which there are many
  known.reserve(train_.size());
  for (std::size_t t = 0; t < train_.size(); ++t) known.emplace_back(hash_of(plain(train_[t])), t);
  std::sort(known.begin(), known.end());
  for (std::size_t v = 0; v < valid_.size(); ++v) {
    const std::string path = plain(valid_[v]);
    const std::uint64_t wanted = hash_of(path);
    auto at = std::lower_bound(known.begin(), known.end(), std::pair{wanted, std::size_t{0}});
    for (; at != known.end() && at->first == wanted; ++at) {
      if (plain(train_[at->second]) != path) continue;
      found(v, at->second, result_.same_path);
      break;
    }
  }
}

// Each file is read once, since all may have one size, as BMPs have; and only where both lists have
// its size.
void Search::by_bytes() {
  std::set<std::uintmax_t> sizes, shared;
  for (std::size_t v = 0; v < valid_.size(); ++v)
    if (!found_[v]) sizes.insert(size_of(valid_[v]));
  std::multimap<std::pair<std::uintmax_t, std::uint64_t>, std::size_t> known;
  for (std::size_t t = 0; t < train_.size(); ++t) {
    const std::uintmax_t size = size_of(train_[t]);
    if (size == 0 || !sizes.contains(size)) continue;
    shared.insert(size);
    if (const auto sum = checksum_of_image(train_[t])) known.emplace(std::pair{size, *sum}, t);
  }
  for (std::size_t v = 0; v < valid_.size(); ++v) {
    const std::uintmax_t size = found_[v] ? 0 : size_of(valid_[v]);
    if (!shared.contains(size)) continue;
    const auto sum = checksum_of_image(valid_[v]);
    if (!sum) continue;
    const auto [begin, end] = known.equal_range({size, *sum});
    for (auto at = begin; at != end; ++at)
      if (same_bytes(train_[at->second], valid_[v])) {
        found(v, at->second, result_.same_bytes);
        break;
      }
  }
}

void Search::by_pixels(double seconds) {
  ImagePaths left;
  std::vector<std::size_t> index;
  for (std::size_t v = 0; v < valid_.size(); ++v)
    if (!found_[v]) left.push_back(valid_[v]), index.push_back(v);
  if (left.empty()) return;
  const auto duration =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const auto begin = Clock::now();
  std::int64_t done_valid = 0, done_train = 0;
  const Prints valid = prints_of(left, begin + duration / 2, done_valid);
  const Prints train = prints_of(train_, begin + duration, done_train);
  result_.compared = static_cast<double>(done_valid) / static_cast<double>(left.size()) *
                     static_cast<double>(done_train) / static_cast<double>(train_.size());
  for (std::size_t v = 0; v < valid.size(); ++v)
    for (std::size_t t = 0; valid[v] && t < train.size(); ++t)
      if (train[t] && nearly_same(*valid[v], *train[t])) {
        found(index[v], t, result_.nearly_same);
        break;
      }
}

}  // namespace

ListOverlap find_overlap(const ImagePaths& train, const ImagePaths& valid, double seconds) {
  return Search(train, valid).run(seconds);
}

}  // namespace darknet
