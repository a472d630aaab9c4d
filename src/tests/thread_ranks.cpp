#include "thread_ranks.h"

#include <barrier>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

struct Job {
  explicit Job(std::int64_t count) : all(count), written(to_size(count)) {}
  std::barrier<> all;
  std::vector<std::string> written;  // by rank
};

class ThreadRanks final : public Ranks {
 public:
  ThreadRanks(Job& job, std::int64_t rank) : job_(job), rank_(rank) {}

  std::int64_t rank() const override { return rank_; }
  std::int64_t count() const override { return std::ssize(job_.written); }
  std::int64_t local_rank() const override { return rank_; }
  std::int64_t local_count() const override { return count(); }

  std::vector<std::string> all_gather(std::string_view mine) override {
    job_.written[to_size(rank_)] = mine;
    job_.all.arrive_and_wait();
    std::vector<std::string> all = job_.written;
    job_.all.arrive_and_wait();
    return all;
  }
  std::vector<std::string> gather(std::string_view mine) override {
    std::vector<std::string> all = all_gather(mine);
    if (!is_first()) all.clear();
    return all;
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    std::byte* to = all.data();
    for (const std::string& one :
         all_gather({reinterpret_cast<const char*>(mine.data()), mine.size()})) {
      std::memcpy(to, one.data(), one.size());
      to += one.size();
    }
  }
  void sum(std::span<float> values, const SumOptions& options) override {
    if (options.bf16) fail("not for these ranks");
    add_all(values);
  }
  void sum(std::span<double>) override { fail("not for these ranks"); }
  void broadcast(std::span<float>) override { fail("not for these ranks"); }
  std::string broadcast(std::string bytes) override { return all_gather(bytes).front(); }
  void sum(std::span<std::int64_t> values) override { add_all(values); }
  void barrier() override { job_.all.arrive_and_wait(); }

 private:
  template <class T>
  void add_all(std::span<T> values) {
    const auto bytes = std::as_bytes(values);
    const auto all = all_gather({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    std::fill(values.begin(), values.end(), T{});
    for (const std::string& one : all)
      for (std::size_t i = 0; i < values.size(); ++i) {
        T value{};
        one.copy(reinterpret_cast<char*>(&value), sizeof value, i * sizeof value);
        values[i] += value;
      }
  }

  Job& job_;
  std::int64_t rank_;
};

}  // namespace

void run_ranks(std::int64_t count, const std::function<void(Ranks&)>& work) {
  Job job(count);
  std::vector<std::exception_ptr> errors(to_size(count));
  std::vector<std::jthread> threads;
  for (std::int64_t rank = 0; rank < count; ++rank)
    threads.emplace_back([&, rank] {
      ThreadRanks own(job, rank);
      try {
        work(own);
      } catch (...) {
        errors[to_size(rank)] = std::current_exception();
        job.all.arrive_and_drop();
      }
    });
  threads.clear();
  for (const std::exception_ptr& e : errors)
    if (e) std::rethrow_exception(e);
}

}  // namespace darknet
