#include "tests/emulator/block.h"

#include <cxxabi.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace emulator {
namespace {

std::string demangled(const std::string& name) {
  if (!name.starts_with("_Z")) return name;
  int status = 0;
  char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

[[noreturn]] void rethrow(const Fault& f, const Block& block, const Warp& warp, LaneMask lanes,
                          const Instruction& i) {
  throw Fault(f.kind(), std::string(f.what()) + "; \"" + i.text + "\", block " +
                            std::to_string(block.index()) + ", among threads from " +
                            std::to_string(warp.thread(std::countr_zero(lanes))) + ", of " +
                            demangled(block.kernel().name));
}

}  // namespace

Warp::Warp(Block& block, std::uint32_t first_thread, std::uint32_t threads, std::uint64_t* slots)
    : block_(&block),
      first_thread_(first_thread),
      slots_(slots),
      local_(static_cast<std::size_t>(block.kernel().local_bytes) * kLanes),
      all_(threads >= kLanes ? kAllLanes : (LaneMask{1} << threads) - 1) {
  const auto fill = [this](std::int32_t index, std::uint64_t value) {
    std::fill_n(slot(index), kLanes, value);
  };
  std::fill_n(slots_, block.kernel().slots * kLanes, ~std::uint64_t{0});
  for (int lane = 0; lane < kLanes; ++lane) {
    slot(kThreadX)[lane] = thread(lane);
    slot(kLane)[lane] = static_cast<std::uint64_t>(lane);
  }
  fill(kThreads, block.grid().threads);
  fill(kBlocks, block.grid().blocks);
  fill(kRows, block.grid().rows);
  fill(kZero, 0);
  fill(kOne, 1);
  for (const Constant& c : block.kernel().constants) fill(c.slot, c.value);
}

// Registers hold what the block before left, and in the first one -1.
void Warp::begin_block() {
  std::fill_n(slot(kBlockX), kLanes, block_->index() % block_->grid().blocks);
  std::fill_n(slot(kBlockY), kLanes, block_->index() / block_->grid().blocks);
  std::fill(local_.begin(), local_.end(), Memory::kPoison);
  groups_.assign(1, {0, all_});
  barrier_ = -1;
}

unsigned char* Warp::local(int lane) { return local_.data() + lane * block_->kernel().local_bytes; }

LaneMask Warp::guarded(const Instruction& i, LaneMask lanes) {
  if (i.guard < 0) return lanes;
  const std::uint64_t* const p = slot(i.guard);
  LaneMask holds = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    holds |= static_cast<LaneMask>((p[lane] & 1) != static_cast<std::uint64_t>(i.guard_negated))
             << lane;
  return lanes & holds;
}

// Adds a group, or joins one that is at the same place.
void Warp::split(std::int32_t at, LaneMask lanes) {
  const auto place = std::lower_bound(groups_.begin(), groups_.end(), at,
                                      [](const Group& g, std::int32_t a) { return g.at > a; });
  if (place != groups_.end() && place->at == at)
    place->lanes |= lanes;
  else
    groups_.insert(place, {at, lanes});
}

void Warp::run() {
  while (barrier_ < 0 && !groups_.empty()) run_furthest_behind();
}

void Warp::pass_barrier() {
  groups_.back().at += 1;
  barrier_ = -1;
}

void Warp::run_furthest_behind() {
  Group g = groups_.back();
  const std::vector<Instruction>& code = block_->kernel().code;
  Counts& counts = block_->counts();
  groups_.pop_back();
  const std::int32_t meet = groups_.empty() ? -1 : groups_.back().at;  // another group waits there
  for (;;) {
    const auto at = static_cast<std::size_t>(g.at);
    if (at >= code.size()) return;  // the end of the body is a return
    const Instruction& i = code[at];
    const LaneMask lanes = guarded(i, g.lanes);
    counts[at] += static_cast<std::uint64_t>(std::popcount(lanes));
    switch (i.flow) {
      case Flow::next:
        if (lanes) {
          try {
            i.execute(*this, i, lanes);
          } catch (const Fault& f) {
            rethrow(f, *block_, *this, lanes, i);
          }
        }
        ++g.at;
        break;
      case Flow::branch:
        if (lanes == g.lanes) {
          g.at = i.target;
        } else if (lanes == 0) {
          ++g.at;
        } else {
          split(i.target, lanes);
          split(g.at + 1, g.lanes & ~lanes);
          return;
        }
        break;
      case Flow::exit:
        g.lanes &= ~lanes;
        if (!g.lanes) return;
        ++g.at;
        break;
      case Flow::barrier:
        if (!lanes) {
          ++g.at;
          break;
        }
        if (lanes != all_)
          rethrow(Fault(FaultKind::barrier, "a barrier that not all threads of a warp reach"),
                  *block_, *this, g.lanes, i);
        barrier_ = g.at;
        groups_.push_back(g);
        return;
    }
    if (meet >= 0 && g.at >= meet) return split(g.at, g.lanes);
  }
}

Block::Block(const Kernel& kernel, const Grid& grid, std::span<const unsigned char> parameters,
             const Memory& memory, int device, Counts& counts, BlockMemory& own)
    : kernel_(kernel),
      grid_(grid),
      parameters_(parameters),
      memory_(memory),
      device_(device),
      counts_(counts),
      own_(own) {
  const std::size_t of_warp = static_cast<std::size_t>(kernel.slots) * kLanes;
  const std::size_t warps = (grid_.threads + kLanes - 1) / kLanes;
  if (own_.slots.size() < warps * of_warp) own_.slots.resize(warps * of_warp);
  own_.shared.resize(static_cast<std::size_t>(kernel.shared_bytes));
  if (own_.touched.size() < own_.shared.size()) own_.touched.resize(own_.shared.size());
  for (std::size_t w = 0; w < warps; ++w) {
    const auto first = static_cast<std::uint32_t>(w * kLanes);
    warps_.emplace_back(*this, first, grid_.threads - first, own_.slots.data() + w * of_warp);
  }
}

void Block::run(std::uint32_t index) {
  index_ = index;
  ++own_.epoch;
  std::fill(own_.shared.begin(), own_.shared.end(), Memory::kPoison);
  for (Warp& w : warps_) w.begin_block();
  for (;;) {
    for (std::size_t w = warps_.size(); w-- > 0;) warps_[w].run();
    const std::int32_t barrier = warps_.front().barrier();
    for (const Warp& w : warps_)
      if (w.barrier() != barrier)
        throw Fault(FaultKind::barrier,
                    "a barrier that not all warps of a block reach, in " + demangled(kernel_.name));
    if (barrier < 0) return;
    for (Warp& w : warps_) w.pass_barrier();
    ++own_.epoch;
  }
}

inline void Block::touch(Touched& t, bool write, std::uint32_t thread, Address at) const {
  const bool written = t.write_epoch == own_.epoch && t.writer != thread;
  const bool read = t.read_epoch == own_.epoch && (t.several_readers || t.reader != thread);
  if (written || (write && read))
    throw Fault(FaultKind::race, "byte " + std::to_string(at) + " of shared memory: threads " +
                                     std::to_string(written ? t.writer : t.reader) + " and " +
                                     std::to_string(thread) + " touch it with no barrier between");
  if (write) {
    t.write_epoch = own_.epoch, t.writer = thread;
  } else {
    t.several_readers = read;
    t.read_epoch = own_.epoch, t.reader = thread;
  }
}

unsigned char* Block::shared(Address at, std::int32_t bytes, bool write, std::uint32_t thread) {
  require_aligned(at, bytes);
  if (at + static_cast<Address>(bytes) > own_.shared.size())
    throw Fault(FaultKind::illegal_address, "byte " + std::to_string(at) +
                                                " of shared memory, of which there are " +
                                                std::to_string(own_.shared.size()));
  for (Address k = at; k < at + static_cast<Address>(bytes); ++k)
    touch(own_.touched[k], write, thread, k);
  return own_.shared.data() + at;
}

unsigned char* Block::generic(Address at, std::int32_t bytes, bool write, Warp& warp, int lane) {
  const Address offset = at & ~kWindowMask;
  switch (at & kWindowMask) {
    case kSharedWindow:
      return shared(offset, bytes, write, warp.thread(lane));
    case kLocalWindow:
      require_aligned(offset, bytes);
      if (offset + static_cast<Address>(bytes) > static_cast<Address>(kernel_.local_bytes))
        throw Fault(FaultKind::illegal_address, "behind the local memory of a thread");
      return warp.local(lane) + offset;
    case kParameterWindow:
      if (write) throw Fault(FaultKind::illegal_address, "a parameter is written");
      return parameter(offset, bytes);
    default:
      return global(at, bytes, write);
  }
}

void run_kernel(const Kernel& kernel, const Grid& grid, std::span<const unsigned char> parameters,
                const Memory& memory, int device, Counts& counts) {
  counts.resize(kernel.code.size());
  static thread_local BlockMemory own;
  Block block(kernel, grid, parameters, memory, device, counts, own);
  for (std::uint32_t index = grid.blocks * grid.rows; index-- > 0;) block.run(index);
}

}  // namespace emulator
