#include "train/join_devices.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/process_end.h"
#include "core/sentence_of.h"
#include "core/text.h"
#include "core/together.h"

namespace darknet {
namespace {

using Clock = std::chrono::steady_clock;
using Joined = std::unique_ptr<JoinedDevices>;

constexpr auto kBetweenRounds = std::chrono::milliseconds(50);

// What a rank says before it joins.
struct Offer {
  std::string objection;  // why it cannot; "": it can
  std::string version;
  std::vector<std::string> devices;

  std::string text() const {
    std::string all = cat(objection, "\n", version);
    for (const std::string& name : devices) all += "\n" + name;
    return all;
  }
};

Offer parse(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text)
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  return {lines[0], lines[1], {lines.begin() + 2, lines.end()}};
}

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

constexpr const char* kSwitchedOff = "DARKNET_NCCL=0";

Offer make_offer(const std::vector<Device>& devices, const DeviceJoiner* joiner, bool wanted) {
  Offer offer;
  if (!wanted)
    offer.objection = kSwitchedOff;
  else if (!joiner)
    offer.objection = "its program was built without NCCL";
  else
    try {
      offer.version = joiner->version();
      for (const Device& d : devices) offer.devices.push_back(joiner->name_of(d));
    } catch (const std::exception& e) {
      offer.objection = one_line(e.what());
    }
  return offer;
}

// Why not all of them can join: the same in all ranks. "" where they can.
std::string objection(const std::vector<Offer>& offers, const Ranks& ranks) {
  std::map<std::string, std::int64_t> owners;
  for (std::int64_t r = 0; r < std::ssize(offers); ++r) {
    const Offer& o = offers[to_size(r)];
    if (!o.objection.empty()) return cat(name_of_rank(ranks, r), ": ", o.objection);
    if (o.version != offers[0].version)
      return cat(name_of_rank(ranks, r), " has NCCL ", o.version, ", rank 0 ", offers[0].version);
    if (o.devices.size() != offers[0].devices.size())
      return cat(name_of_rank(ranks, r), " takes ", plural(std::ssize(o.devices), "GPU"),
                 ", rank 0 ", offers[0].devices.size());
    for (const std::string& device : o.devices)
      if (const auto [at, is_new] = owners.emplace(device, r); !is_new)
        return cat(name_of_rank(ranks, at->second), " and ", name_of_rank(ranks, r),
                   " use the same GPU");
  }
  return "";
}

// Of rank 0, for all: the id, or why there is none.
struct Id {
  std::string bytes, why_not;
};

Id shared_id(const DeviceJoiner& joiner, Ranks& ranks) {
  std::string made;
  if (ranks.is_first()) try {
      made = "+" + joiner.make_id();
    } catch (const std::exception& e) {
      made = cat("-rank 0: ", one_line(e.what()));
    }
  made = ranks.broadcast(std::move(made));
  return made[0] == '+' ? Id{made.substr(1), ""} : Id{"", made.substr(1)};
}

// join() in a thread of its own, which may never end.
class Joining {
 public:
  Joining(const DeviceJoiner& joiner, std::vector<Device> devices, std::string id,
          const Ranks& ranks, bool bf16) {
    std::promise<Joined> promise;
    result_ = promise.get_future();
    const std::int64_t each = std::ssize(devices), first = ranks.rank() * each,
                       all = ranks.count() * each;
    std::thread([&joiner, devices = std::move(devices), id = std::move(id), first, all, bf16,
                 promise = std::move(promise)]() mutable {
      try {
        promise.set_value(joiner.join(devices, id, first, all, bf16));
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    }).detach();
  }
  // What this rank tells the others: "w" while it waits, "j" when it has joined, "f" and why it
  // failed.
  std::string state() {
    if (failure_.empty() && !joined_ &&
        result_.wait_for(kBetweenRounds) == std::future_status::ready)
      try {
        joined_ = result_.get();
      } catch (const std::exception& e) {
        failure_ = cat("f", one_line(e.what()));
      }
    return joined_ ? "j" : failure_.empty() ? "w" : failure_;
  }
  Joined take() { return std::move(joined_); }

 private:
  std::future<Joined> result_;
  Joined joined_;
  std::string failure_;
};

// After every round all ranks know the same. What some have joined when another fails is abandoned:
// an end of it would wait for that other.
Joined join_together(Joining& mine, Ranks& ranks, const JoinOptions& options,
                     std::string& why_not) {
  auto start = Clock::now();
  while (true) {
    const std::vector<std::string> states = ranks.all_gather(mine.state());
    const auto in_state = [&](char s) {
      return std::ranges::find_if(states, [s](const std::string& of) { return of[0] == s; });
    };
    const auto failed = in_state('f'), waiting = in_state('w');
    if (failed != states.end() && why_not.empty()) {
      why_not = cat(name_of_rank(ranks, failed - states.begin()), ": ", failed->substr(1));
      start = Clock::now();
    }
    if (waiting == states.end()) return why_not.empty() ? mine.take() : nullptr;
    const double waited = std::chrono::duration<double>(Clock::now() - start).count();
    const double limit = why_not.empty() ? options.usual : options.after_failure;
    if (ranks.broadcast_value(waited) > limit) {
      ends_without_destructors = true;
      const std::string why =
          cat(why_not.empty() ? "" : why_not + "; ", "NCCL still waits, in ",
              name_of_rank(ranks, waiting - states.begin()), ", for the GPUs of other ranks after ",
              static_cast<std::int64_t>(waited),
              " s: NCCL_DEBUG=INFO shows what it does, "
              "NCCL_SOCKET_IFNAME names the network that it is to use, and DARKNET_NCCL=0 sums "
              "through host memory instead");
      if (ranks.is_first()) {  // at once: what is destroyed may wait for what NCCL waits for
        log::error(why);
        ranks.abort(1);
      }
      throw CommonFailure(why);
    }
  }
}

}  // namespace

Joined join_devices(const std::vector<Device>& devices, Ranks& ranks, const DeviceJoiner* joiner,
                    const JoinOptions& options) {
  const Offer mine = make_offer(devices, joiner, options.wanted);
  std::vector<Offer> offers;
  for (const std::string& text : ranks.all_gather(mine.text())) offers.push_back(parse(text));
  std::string why_not = objection(offers, ranks);
  Joined joined;
  if (why_not.empty()) {
    const Id id = shared_id(*joiner, ranks);
    why_not = id.why_not;
    if (why_not.empty()) {
      Joining joining(*joiner, devices, id.bytes, ranks, options.bf16);
      joined = join_together(joining, ranks, options, why_not);
    }
  }
  const bool nobody_wants =
      std::ranges::all_of(offers, [](const Offer& o) { return o.objection == kSwitchedOff; });
  if (!joined && !nobody_wants && ranks.is_first())
    log::warn(cat(why_not, "; gradients of the ranks go through host memory instead of NCCL"));
  return joined;
}

void end_job_of_devices(Ranks& ranks, const Device& device, const std::exception& e) {
  if (!ranks.several() || device.type == DeviceType::cpu) return;
  const auto* const common = dynamic_cast<const CommonFailure*>(&e);
  if (common && (!common->of_device() || !ranks.is_first())) return;  // rank 0 says it for all
  const auto* const error = dynamic_cast<const Error*>(&e);
  log::end_progress();
  log::error(sentence_of(e));
  ranks.abort(error ? error->exit_code() : 1);
}

}  // namespace darknet
