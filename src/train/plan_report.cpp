#include "train/plan_report.h"

#include <set>

#include "core/log.h"
#include "core/text.h"

namespace darknet {

void log_plan(const Network& net, const TrainingState& state, std::size_t images,
              const std::filesystem::path& folder) {
  const NetSettings& n = net.settings();
  const auto epochs = static_cast<double>(n.max_batches * n.batch) / static_cast<double>(images);
  log::info(
      cat("iterations ", state.iteration + 1, " to ", n.max_batches, ", ", plural(n.batch, "image"),
          " each in ", plural(n.subdivisions * net.options().replicas, "micro-batch"), " (",
          epochs < 1 ? "less than 1 epoch" : plural(static_cast<std::int64_t>(epochs), "epoch"),
          " in total); learning rate ", n.learning_rate, " policy ", name_of(n.policy),
          n.burn_in > 0 ? cat(", burn_in ", n.burn_in) : "", "; seed ", state.seed,
          "; files go to ", folder.string()));
  for (const HeadAt& at : net.heads())
    log::info(cat("objectness of ", net.layer(at.layer).title(), ": ",
                  at.head->settings().objectness_loss));
}

void log_ranks(const Ranks& ranks, const NetSettings& n) {
  if (!ranks.several()) return;
  std::set<std::string> hosts;
  for (std::int64_t r = 0; r < ranks.count(); ++r) hosts.insert(ranks.host_of(r));
  const std::int64_t count = ranks.count();
  log::info(cat(count, " ranks on ", plural(std::ssize(hosts), "host"), " share each batch: ",
                plural(n.batch / count, "image"), " each; the schedule stays that of one process"));
  log::info(cat("a batch of ", n.batch * count,
                " would keep the ranks busier; to learn alike it "
                "needs learning_rate=",
                n.learning_rate * static_cast<float>(count),
                " reached by burn_in (linear scaling, Goyal et al. 2017), and ", count,
                " times fewer iterations (max_batches, steps). Nothing of this is done here"));
}

void log_devices(const Device& first, const std::vector<Device>& others) {
  if (first.type != DeviceType::cpu) log::info(cat("computed by ", ops(first.type).name(first)));
  for (const Device& d : others) log::info(cat("and by ", to_string(d), ", ", ops(d.type).name(d)));
}

}  // namespace darknet
