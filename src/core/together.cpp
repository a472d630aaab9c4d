#include "core/together.h"

#include <algorithm>
#include <exception>
#include <string>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

struct Outcome {
  std::int64_t value = 0;
  std::int32_t failed = 0, exit_code = 1;
};

[[noreturn]] void throw_first(Ranks& ranks, const std::vector<Outcome>& all,
                              const std::string& mine) {
  const std::vector<std::string> texts = ranks.all_gather(mine);
  const auto first = std::ranges::find(all, 1, &Outcome::failed);
  const auto rank = first - all.begin();
  throw CommonFailure(cat(rank > 0 ? cat("rank ", rank, " on ", ranks.host_of(rank), ": ") : "",
                          texts[to_size(rank)]),
                      first->exit_code);
}

}  // namespace

std::int64_t largest_of_all(Ranks& ranks, const std::function<std::int64_t()>& work) {
  if (!ranks.several()) return work();
  Outcome mine;
  std::string text;
  const auto fails = [&](const std::exception& e, int exit_code) {
    mine = {.failed = 1, .exit_code = exit_code};
    text = e.what();
  };
  try {
    mine.value = work();
  } catch (const Error& e) {
    fails(e, e.exit_code());
  } catch (const std::exception& e) {
    fails(e, 1);
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
