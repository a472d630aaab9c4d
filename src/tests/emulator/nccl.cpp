// The calls of NCCL that the program makes. Ranks are threads of this process, which find each
// other by an id. A sum is formed in streams that wait for each other as NCCL's kernels do, once
// all ranks have asked for it.
#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/emulator/gpu.h"
#include "tests/emulator/half.h"

using namespace emulator;

namespace {

constexpr int kNoticed = 20;  // a broken link is not noticed at once
constexpr std::uint64_t kFirstCalls = 2;

// Of the all-reduce with this number.
bool is_broken(std::uint64_t call) {
  const Options& options = Gpus::instance().options();
  return options.refuses("all-reduce") ||
         (options.refuses("later-all-reduce") && call >= kFirstCalls);
}

// NCCL reaches into memory of other devices, which pools do not allow.
unsigned char* view(const void* p, std::size_t bytes, int device) {
  return Gpus::instance().memory().view(p, bytes, device);
}
bool in_a_pool(const void* p) {
  const Allocation* const a = Gpus::instance().memory().find(reinterpret_cast<Address>(p));
  return a && a->kind == MemoryKind::pool;
}

// One all-reduce of all ranks.
class Sum {
 public:
  Sum(std::size_t count, ncclDataType_t type) : count_(count), type_(type) {}
  bool fits(std::size_t count, ncclDataType_t type) const {
    return count == count_ && type == type_;
  }
  struct Part {
    int device = 0;
    const void* from = nullptr;
    void* to = nullptr;
  };
  void add(int rank, const Part& part, const Point& asked) {
    parts_[rank] = part;
    gate->after.push_back(asked);
  }
  std::size_t parts() const { return parts_.size(); }
  void void_it() { formed_ = gate->open = true; }  // it was aborted, or a link broke
  // Whoever comes first forms it for all.
  void form() {
    if (std::exchange(formed_, true)) return;
    type_ == ncclFloat ? form_as<float>() : form_as<std::uint16_t>();
  }
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();

 private:
  static float value(float x) { return x; }
  static float value(std::uint16_t x) { return from_bfloat(x); }
  static void store(float x, float& to) { to = x; }
  static void store(float x, std::uint16_t& to) { to = to_bfloat(x); }
  // NCCL rounds every addition to the element type.
  template <class T>
  void form_as() {
    const std::size_t bytes = count_ * sizeof(T);
    std::vector<T> sums(count_);
    for (const auto& [rank, part] : parts_) {
      const T* const from = reinterpret_cast<const T*>(view(part.from, bytes, part.device));
      for (std::size_t i = 0; i < count_; ++i) store(value(sums[i]) + value(from[i]), sums[i]);
    }
    for (const auto& [rank, part] : parts_)
      std::memcpy(view(part.to, bytes, part.device), sums.data(), bytes);
  }

  std::size_t count_;
  ncclDataType_t type_;
  std::map<int, Part> parts_;  // by rank
  bool formed_ = false;
};

struct Communicator;

// The communicators of one id.
struct Clique {
  int count = 0, joined = 0, finalized = 0, aborted = 0;  // ranks; count 0: none has come
  std::map<int, Communicator*> ranks;
  ncclResult_t failure = ncclSuccess;                  // of joining
  std::map<std::uint64_t, std::shared_ptr<Sum>> sums;  // that not all have asked for, by number
};

struct Communicator {
  int device = 0, rank = 0;
  std::shared_ptr<Clique> clique;
  std::size_t local = 1;  // communicators that one thread made in one group
  std::uint64_t calls = 0;
  bool finalized = false;
  int asked = 0;  // for errors, since a link has broken
};
Communicator& of(ncclComm_t communicator) { return *reinterpret_cast<Communicator*>(communicator); }

struct Call {
  Communicator* communicator;
  const void* from;
  void* to;
  std::size_t count;
  ncclDataType_t type;
  cudaStream_t stream;
};
struct Join {
  ncclComm_t* communicator;
  std::shared_ptr<Clique> clique;
  int count, rank, device;
};
// What a thread has asked for in its group.
struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Call> calls;
  std::vector<Join> joins;
  std::vector<Communicator*> finalized;
};
thread_local Group group;

std::map<std::string, std::shared_ptr<Clique>>& cliques() {
  static std::map<std::string, std::shared_ptr<Clique>> all;
  return all;
}

// Of one more rank: why NCCL refuses it.
ncclResult_t refusal(const Join& join) {
  const Clique& clique = *join.clique;
  if (join.count != clique.count || join.rank < 0 || join.rank >= join.count)
    return ncclInvalidArgument;
  if (clique.ranks.contains(join.rank)) return ncclInvalidUsage;
  for (const auto& [rank, other] : clique.ranks)
    if (other->device == join.device) return ncclInvalidUsage;  // one GPU twice
  return ncclSuccess;
}

// Waits for the other ranks, as NCCL does; where they do not come it gives up some time.
ncclResult_t join_all(const std::vector<Join>& joins) {
  std::vector<std::unique_ptr<Communicator>> mine;
  ncclResult_t failure = ncclSuccess;
  for (const Join& join : joins) {
    Clique& clique = *join.clique;
    if (clique.count == 0) clique.count = join.count;
    if (const ncclResult_t refused = refusal(join)) clique.failure = refused;
    mine.push_back(std::make_unique<Communicator>(Communicator{
        .device = join.device, .rank = join.rank, .clique = join.clique, .local = joins.size()}));
    clique.ranks.emplace(join.rank, mine.back().get());
    ++clique.joined;
  }
  Gpus::instance().opened();
  for (const Join& join : joins) {
    Clique& clique = *join.clique;
    const auto ready = [&] { return clique.failure || clique.joined == clique.count; };
    if (!Gpus::instance().wait_for_others(ready)) clique.failure = ncclSystemError;
    if (clique.failure) failure = clique.failure;
  }
  if (failure) {  // those that wait are to see it, too
    for (const auto& c : mine)
      std::erase_if(c->clique->ranks, [&](const auto& rank) { return rank.second == c.get(); });
    Gpus::instance().opened();
    return failure;
  }
  for (std::size_t i = 0; i < joins.size(); ++i)
    *joins[i].communicator = reinterpret_cast<ncclComm_t>(mine[i].release());
  return ncclSuccess;
}

// All communicators wait for each other when they are finalized, those of one thread in one group.
void finalize(const std::vector<Communicator*>& all) {
  for (Communicator* const c : all) {
    if (c->local != all.size())
      Gpus::hang(c->device,
                 "a communicator is finalized without the others, in no group with them");
    if (Gpus::instance().is_stuck(c->device))
      Gpus::hang(c->device, "a communicator is finalized in place of aborted after an error");
    c->finalized = true;
    ++c->clique->finalized;
  }
  if (!all.empty()) Gpus::instance().opened();
  for (const Communicator* const c : all)
    if (!Gpus::instance().wait_for_others([c] { return c->clique->finalized == c->clique->count; }))
      Gpus::hang(c->device, "a communicator is finalized, and one of another rank is not");
}

// So they do when they end.
void require_group(const Communicator& c) {
  if (group.depth == 0 && c.local > 1)
    Gpus::hang(c.device, "a communicator is ended without the others, in no group with them");
}

void end(Communicator& c) {
  c.clique->ranks.erase(c.rank);
  delete &c;
}

// Calls of one thread that NCCL refuses.
ncclResult_t check(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    const auto twice = [&](const Call& other) { return other.communicator == call.communicator; };
    if (std::count_if(calls.begin(), calls.end(), twice) > 1) return ncclInvalidUsage;
    Gpus::current_device() = call.communicator->device;
    const Stream* const stream = Gpus::instance().find(call.stream);
    if (call.count != calls[0].count || call.type != calls[0].type || !stream ||
        stream->queue->device() != call.communicator->device ||
        call.communicator->local != calls.size())
      return ncclInvalidUsage;
  }
  return ncclSuccess;
}

// The sum that this call of a communicator is part of.
std::shared_ptr<Sum> sum_of(const Call& call) {
  Communicator& c = *call.communicator;
  std::shared_ptr<Sum>& sum = c.clique->sums[c.calls++];
  if (!sum) sum = std::make_shared<Sum>(call.count, call.type);
  if (!sum->fits(call.count, call.type))
    Gpus::hang(c.device, "ranks sum arrays of different lengths or types");
  return sum;
}

cudaError_t issue(const Call& call, const std::shared_ptr<Sum>& sum) {
  Gpus& gpus = Gpus::instance();
  const Communicator& c = *call.communicator;
  Gpus::current_device() = c.device;
  if (const cudaError_t e = gpus.issue(call.stream, [] {})) return e;
  const std::shared_ptr<Queue> queue = gpus.find(call.stream)->queue;
  sum->add(c.rank, {c.device, call.from, call.to}, {queue, queue->issued()});
  if (sum->parts() == static_cast<std::size_t>(c.clique->count)) {
    sum->gate->open = true;
    c.clique->sums.erase(c.calls - 1);
    gpus.opened();
  }
  return gpus.issue(
      call.stream, [sum] { sum->form(); }, sum->gate);
}

ncclResult_t run(const std::vector<Call>& calls) {
  if (const ncclResult_t refused = check(calls)) return refused;
  Gpus& gpus = Gpus::instance();
  const bool device = gpus.options().refuses("second-device");
  cudaError_t error = cudaSuccess;
  for (const Call& call : calls) {
    const bool link = is_broken(call.communicator->calls);
    const std::shared_ptr<Sum> sum = sum_of(call);
    if (link || device) sum->void_it();
    if (!error) error = issue(call, sum);
    if (link || device) gpus.set_stuck(call.communicator->device, true);
  }
  if (device) gpus.break_later(calls.back().communicator->device);
  return error ? ncclUnhandledCudaError : ncclSuccess;
}

ncclResult_t end_group() {
  Group asked = std::exchange(group, {});
  finalize(asked.finalized);
  if (asked.error) return asked.error;
  if (!asked.joins.empty())
    if (const ncclResult_t failed = join_all(asked.joins)) return failed;
  if (asked.calls.empty()) return ncclSuccess;
  const int before = Gpus::current_device();
  const ncclResult_t result = run(asked.calls);
  Gpus::current_device() = before;
  return result;
}

// What a call asks for is done when its group ends; alone it is one.
template <class Ask>
ncclResult_t in_group(Ask ask) {
  const Lock lock(Gpus::instance().mutex());
  ask();
  return group.depth > 0 ? ncclSuccess : end_group();
}

}  // namespace

extern "C" {

const char* ncclGetLastError(ncclComm_t) { return "the emulated NCCL knows no more"; }
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess ? "no error" : "an error of the emulated NCCL";
}
ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const Lock lock(Gpus::instance().mutex());
  static int made = 0;
  const std::string name = std::to_string(getpid()) + "." + std::to_string(++made);
  *id = {};
  name.copy(id->internal, sizeof id->internal - 1);
  cliques()[name] = std::make_shared<Clique>();
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int count, ncclUniqueId id, int rank) {
  return in_group([&] {
    const auto found = cliques().find(id.internal);
    if (found == cliques().end())  // of another process
      group.error = ncclSystemError;
    else
      group.joins.push_back({communicator, found->second, count, rank, Gpus::current_device()});
  });
}

ncclResult_t ncclCommFinalize(ncclComm_t communicator) {
  return in_group([&] { group.finalized.push_back(&of(communicator)); });
}
ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  const Lock lock(Gpus::instance().mutex());
  require_group(of(communicator));
  if (!of(communicator).finalized) return ncclInvalidUsage;  // it might wait for the others
  end(of(communicator));
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  const Lock lock(Gpus::instance().mutex());
  Communicator& c = of(communicator);
  require_group(c);
  Gpus::instance().set_stuck(c.device, false);
  for (const auto& [number, sum] : c.clique->sums) sum->void_it();
  ++c.clique->aborted;
  Gpus::instance().opened();
  const int others = c.clique->count - static_cast<int>(c.local);
  if (!Gpus::instance().wait_for_others([&] { return c.clique->aborted > others; }))
    Gpus::hang(c.device, "a communicator is aborted, and one of another rank is not");
  end(c);
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* error) {
  const Lock lock(Gpus::instance().mutex());
  Communicator& c = of(communicator);
  const bool stuck = Gpus::instance().is_stuck(c.device) &&
                     !Gpus::instance().options().refuses("second-device");  // of links only
  *error = stuck && ++c.asked > kNoticed ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t communicator, cudaStream_t stream) {
  if ((type != ncclFloat && type != ncclBfloat16) || operation != ncclSum)
    return ncclInvalidArgument;
  {
    const Lock lock(Gpus::instance().mutex());
    if (in_a_pool(from) || in_a_pool(to)) return ncclInvalidArgument;
    // One thread would wait for its own later calls.
    if (group.depth == 0 && of(communicator).local > 1) return ncclInvalidUsage;
  }
  return in_group([&] {
    group.calls.push_back({&of(communicator), from, to, count, type, stream});
  });
}
ncclResult_t ncclGroupEnd() {
  const Lock lock(Gpus::instance().mutex());
  return --group.depth > 0 ? ncclSuccess : end_group();
}

}  // extern "C"
