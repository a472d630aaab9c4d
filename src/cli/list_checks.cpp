#include "cli/list_checks.h"

#include "core/log.h"
#include "core/text.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

constexpr std::int64_t kMaxMessages = 50;  // of one list; the rest is counted

using PrintList = std::function<void(const char*, const ListCheck&)>;

ListCheck check_one_list(const char* name, const std::filesystem::path& list,
                         const ListCheckOptions& how, bool all, const PrintList& print) {
  if (list.empty()) return {};
  std::int64_t reported = 0;
  const auto report = [&](Finding finding, const std::string& message) {
    if (!all && reported++ >= kMaxMessages) return;
    finding == Finding::error ? log::error(message) : log::warn(message);
  };
  ListCheck result = check_list(list, how, report);
  if (reported > kMaxMessages)
    log::error(cat(plural(reported - kMaxMessages, "more message"), "; -all shows them"));
  if (!how.stop()) print(name, result);
  return result;
}

}  // namespace

ListChecks check_lists(const DataFile& data, ListCheckOptions how, bool all,
                       const PrintList& print) {
  const InterruptGuard interrupt("the image");
  how.stop = [&] { return interrupt.requested(); };
  ListChecks lists{.train = check_one_list("train", data.train, how, all, print),
                   .valid = check_one_list("valid", data.valid, how, all, print),
                   .tune = check_one_list("tune", data.tune, how, all, print),
                   .interrupted = interrupt.exit_code()};
  if (lists.interrupted != 0)
    log::info(cat("interrupted after ",
                  plural(lists.train.images + lists.valid.images + lists.tune.images, "image"),
                  "; the others were not looked at"));
  return lists;
}

std::string summary(std::int64_t errors, std::int64_t warnings) {
  if (errors + warnings == 0) return "nothing is wrong";
  return cat(plural(errors, "error"), ", ", plural(warnings, "warning"));
}

}  // namespace darknet::cli
