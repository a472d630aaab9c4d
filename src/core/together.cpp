#include "core/together.h"

#include <algorithm>
#include <exception>
#include <string>

#include "core/device_failure.h"
#include "core/error.h"
#include "core/index.h"
#include "core/sentence_of.h"

namespace darknet {
namespace {

struct Outcome {
  std::int64_t value = 0;
  std::int32_t failed = 0, exit_code = 1, of_device = 0;
};

[[noreturn]] void throw_first(Ranks& ranks, const std::vector<Outcome>& all,
                              const std::string& mine) {
  const std::vector<std::string> texts = ranks.all_gather(mine);
  const auto first = std::ranges::find(all, 1, &Outcome::failed);
  const auto rank = first - all.begin();
  throw CommonFailure(cat(rank > 0 ? name_of_rank(ranks, rank) + ": " : "", texts[to_size(rank)]),
                      first->exit_code,
                      std::ranges::any_of(all, [](const Outcome& o) { return o.of_device != 0; }));
}

}  // namespace

std::string name_of_rank(const Ranks& ranks, std::int64_t rank) {
  return cat("rank ", rank, " on ", ranks.host_of(rank));
}

std::int64_t largest_of_all(Ranks& ranks, const std::function<std::int64_t()>& work) {
  if (!ranks.several()) return work();
  Outcome mine;
  std::string text;
  try {
    mine.value = work();
  } catch (const std::exception& e) {
    const auto* const error = dynamic_cast<const Error*>(&e);
    mine = {.failed = 1,
            .exit_code = error ? error->exit_code() : 1,
            .of_device = dynamic_cast<const DeviceFailure*>(&e) ? 1 : 0};
    text = sentence_of(e);
  }
  const std::vector<Outcome> all = ranks.all_gather_values(mine);
  if (std::ranges::any_of(all, [](const Outcome& o) { return o.failed != 0; }))
    throw_first(ranks, all, text);
  return std::ranges::max(all, {}, &Outcome::value).value;
}

void together(Ranks& ranks, const std::function<void()>& work) {
  largest_of_all(ranks, [&] { return work(), std::int64_t{0}; });
}

}  // namespace darknet
