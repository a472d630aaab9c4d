// The module darknet_mpi: collectives over the ranks of a job by MPI (core/ranks.h).
#include <mpi.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/half.h"
#include "core/mpi/module.h"
#include "core/mpi/worker.h"

namespace darknet::mpi {
namespace {

constexpr std::int64_t kChunk = std::int64_t{1} << 30;  // bytes: MPI counts by int

std::size_t size_of(std::int64_t n) { return static_cast<std::size_t>(n); }
int int_of(std::int64_t n) {
  if (n > std::numeric_limits<int>::max()) fail("an array of ", n, " elements is beyond MPI's int");
  return static_cast<int>(n);
}

// Consecutive parts of n elements, one for each rank.
struct Slices {
  std::vector<int> counts, places;
  Slices(std::int64_t n, int ranks) {
    for (std::int64_t r = 0; r < ranks; ++r) {
      places.push_back(int_of(n * r / ranks));
      counts.push_back(int_of(n * (r + 1) / ranks - n * r / ranks));
    }
  }
};

MPI_Datatype type_of(const float*) { return MPI_FLOAT; }
MPI_Datatype type_of(const BF16*) { return MPI_UINT16_T; }

class Pending final : public PendingSum {
 public:
  explicit Pending(std::future<void> f) : done_(std::move(f)) {}
  ~Pending() override {
    if (done_.valid()) done_.wait();
  }
  void wait() override {
    if (done_.valid()) done_.get();
  }

 private:
  std::future<void> done_;
};

class MpiRanks final : public Ranks {
 public:
  explicit MpiRanks(double timeout) : worker_(timeout) {}

  std::int64_t rank() const override { return worker_.rank(); }
  std::int64_t count() const override { return worker_.count(); }
  std::int64_t local_rank() const override { return worker_.local_rank(); }
  std::int64_t local_count() const override { return worker_.local_count(); }
  std::string host_of(std::int64_t rank) const override {
    return worker_.host_of(static_cast<int>(rank));
  }

  void sum(std::span<float> values, const SumOptions& options) override {
    worker_.run([&] { sum_floats(values, options); });
  }
  std::unique_ptr<PendingSum> begin_sum(std::span<float> values,
                                        const SumOptions& options) override {
    return std::make_unique<Pending>(
        worker_.start([this, values, options] { sum_floats(values, options); }));
  }
  void sum(std::span<double> values) override {
    worker_.run([&] {
      std::vector<double> all(values.size() * size_of(count()));
      gather_equal(std::as_bytes(values), std::as_writable_bytes(std::span(all)));
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = all[i];
        for (std::size_t k = i + values.size(); k < all.size(); k += values.size())
          values[i] += all[k];
      }
    });
  }
  void sum(std::span<std::int64_t> values) override {
    worker_.run([&] {
      MPI_Request r = MPI_REQUEST_NULL;
      check(MPI_Iallreduce(MPI_IN_PLACE, values.data(), int_of(std::ssize(values)), MPI_INT64_T,
                           MPI_SUM, comm(), &r),
            "MPI_Iallreduce");
      worker_.complete(r);
    });
  }

  std::vector<std::string> gather(std::string_view mine) override {
    std::vector<std::string> all;
    worker_.run([&] { all = gather_strings(mine); });
    return all;
  }
  std::vector<std::string> all_gather(std::string_view mine) override {
    std::vector<std::string> all(size_of(count()));
    worker_.run([&] {
      for (int r = 0; r < worker_.count(); ++r) {
        if (r == worker_.rank()) all[size_of(r)] = mine;
        broadcast_from(r, all[size_of(r)]);
      }
    });
    return all;
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    worker_.run([&] { gather_equal(mine, all); });
  }
  std::string broadcast(std::string bytes) override {
    worker_.run([&] { broadcast_from(0, bytes); });
    return bytes;
  }
  void broadcast(std::span<float> values) override {
    worker_.run([&] {
      broadcast_bytes(0, reinterpret_cast<char*>(values.data()),
                      std::ssize(values) * std::int64_t{sizeof(float)});
    });
  }
  void barrier() override {
    worker_.run([&] {
      MPI_Request r = MPI_REQUEST_NULL;
      check(MPI_Ibarrier(comm(), &r), "MPI_Ibarrier");
      worker_.complete(r);
    });
  }
  void abort(int exit_code) override { worker_.abort(exit_code); }
  void leave() { worker_.leave(); }

 private:
  MPI_Comm comm() const { return worker_.ranks(); }

  // What follows runs in the worker's thread.
  void sum_floats(std::span<float> values, const SumOptions& options) {
    if (options.bf16) return sum_slices<BF16>(values);
    sum_slices<float>(values);
  }

  // Each rank sums one slice, in the order of the ranks, and gives it to all: so all have the same
  // bytes, which MPI_Iallreduce need not give, and no more of them travel than with its fastest
  // way.
  template <class T>
  void sum_slices(std::span<float> values) {
    const Slices slices(std::ssize(values), worker_.count());
    const auto me = size_of(worker_.rank());
    const int mine = slices.counts[me];
    std::vector<int> counts(slices.counts.size(), mine), places(slices.counts.size());
    for (std::size_t r = 0; r < places.size(); ++r) places[r] = int_of(std::int64_t{mine} * r);
    T* const all = in_transit<T>(values);
    std::vector<T>& parts = parts_of(static_cast<T*>(nullptr));
    parts.resize(size_of(mine) * counts.size());
    MPI_Request r = MPI_REQUEST_NULL;
    check(MPI_Ialltoallv(all, slices.counts.data(), slices.places.data(), type_of(all),
                         parts.data(), counts.data(), places.data(), type_of(all), comm(), &r),
          "MPI_Ialltoallv");
    worker_.complete(r);
    float* const to = values.data() + slices.places[me];
    for (std::size_t i = 0; i < size_of(mine); ++i) to[i] = parts[i];
    for (std::size_t k = 1; k < counts.size(); ++k) {
      const T* const part = parts.data() + k * size_of(mine);
      for (std::size_t i = 0; i < size_of(mine); ++i) to[i] += part[i];
    }
    if constexpr (!std::is_same_v<T, float>)
      for (std::size_t i = 0; i < size_of(mine); ++i) all[size_of(slices.places[me]) + i] = to[i];
    check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, slices.counts.data(),
                          slices.places.data(), type_of(all), comm(), &r),
          "MPI_Iallgatherv");
    worker_.complete(r);
    if constexpr (!std::is_same_v<T, float>)
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = all[i];
  }

  template <class T>
  T* in_transit(std::span<float> values) {
    if constexpr (std::is_same_v<T, float>) {
      return values.data();
    } else {
      rounded_.resize(values.size());
      for (std::size_t i = 0; i < values.size(); ++i) rounded_[i] = values[i];
      return rounded_.data();
    }
  }
  std::vector<float>& parts_of(float*) { return floats_; }
  std::vector<BF16>& parts_of(BF16*) { return halves_; }

  void gather_equal(std::span<const std::byte> mine, std::span<std::byte> all) {
    MPI_Request r = MPI_REQUEST_NULL;
    const int n = int_of(std::ssize(mine));
    check(MPI_Iallgather(mine.data(), n, MPI_BYTE, all.data(), n, MPI_BYTE, comm(), &r),
          "MPI_Iallgather");
    worker_.complete(r);
  }

  std::vector<std::string> gather_strings(std::string_view mine) {
    const std::int64_t length = std::ssize(mine);
    std::vector<std::int64_t> lengths(size_of(count()));
    gather_equal(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths)));
    std::vector<std::string> all;
    std::vector<MPI_Request> requests;
    if (worker_.rank() != 0) {
      for_chunks(length, [&](std::int64_t at, int n) {
        check(MPI_Isend(mine.data() + at, n, MPI_BYTE, 0, 0, comm(), &requests.emplace_back()),
              "MPI_Isend");
      });
      worker_.complete(requests);
      return all;
    }
    for (const std::int64_t l : lengths) all.emplace_back(size_of(l), '\0');
    all[0] = mine;
    for (int r = 1; r < worker_.count(); ++r)
      for_chunks(lengths[size_of(r)], [&](std::int64_t at, int n) {
        check(MPI_Irecv(all[size_of(r)].data() + at, n, MPI_BYTE, r, 0, comm(),
                        &requests.emplace_back()),
              "MPI_Irecv");
      });
    worker_.complete(requests);
    return all;
  }

  void broadcast_from(int root, std::string& bytes) {
    std::int64_t length = std::ssize(bytes);
    broadcast_bytes(root, reinterpret_cast<char*>(&length), sizeof length);
    bytes.resize(size_of(length));
    broadcast_bytes(root, bytes.data(), length);
  }

  void broadcast_bytes(int root, char* data, std::int64_t bytes) {
    for_chunks(bytes, [&](std::int64_t at, int n) {
      MPI_Request r = MPI_REQUEST_NULL;
      check(MPI_Ibcast(data + at, n, MPI_BYTE, root, comm(), &r), "MPI_Ibcast");
      worker_.complete(r);
    });
  }

  template <class Visit>
  static void for_chunks(std::int64_t bytes, Visit visit) {
    for (std::int64_t at = 0; at < bytes; at += kChunk)
      visit(at, static_cast<int>(std::min(kChunk, bytes - at)));
  }

  Worker worker_;
  std::vector<float> floats_;  // of the worker's thread
  std::vector<BF16> halves_, rounded_;
};

std::unique_ptr<Ranks> open(double timeout) { return std::make_unique<MpiRanks>(timeout); }
void close(Ranks& ranks) { static_cast<MpiRanks&>(ranks).leave(); }

}  // namespace
}  // namespace darknet::mpi

const void* darknet::darknet_module(std::uint64_t interface) {
  static constexpr MpiModule kFunctions{.open = mpi::open, .close = mpi::close};
  return interface == DARKNET_MODULE_INTERFACE ? &kFunctions : nullptr;
}
