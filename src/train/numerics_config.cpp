#include "train/numerics_config.h"

#include <set>
#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "core/tuning.h"

namespace darknet {
namespace {

std::string name_of(DeviceType t) { return t == DeviceType::cpu ? "CPU" : "GPU"; }

void require_flag(bool then, bool now, const char* flag, const std::string& weights) {
  if (then != now)
    fail(weights, ": that training ran with", then ? " " : "out ", flag,
         "; give the same, or -clear to count anew");
}

}  // namespace

void record(const NumericsConfig& now, TrainingState& state) {
  state.device = name_of(now.processor);
  state.devices = now.devices;
  state.exact = now.exact;
  state.deterministic = now.deterministic;
  state.precision = now.precision;
  state.threads = now.threads;
  state.scaled_decode = now.scaled_decode;
}

void check_compatible(const NumericsConfig& now, const TrainingState& then,
                      const std::string& weights) {
  const std::string processor = name_of(now.processor);
  const bool known = !then.device.empty();
  if (known && then.device != processor)
    fail(weights, ": that training ran on a ", then.device, ", not a ", processor,
         "; give the same (-i, -nogpu), or -clear to count anew");
  if (known) require_flag(then.deterministic, now.deterministic, "-deterministic", weights);
  require_flag(then.exact, now.exact, "-exact", weights);
  if (then.precision != now.precision)
    fail(weights, ": that training ran with precision=", then.precision, ", not ", now.precision,
         "; give the same, or -clear to count anew");
  if (then.threads > 0 && then.threads != now.threads)
    log::warn(cat("that training ran with ", plural(then.threads, "thread"), ", this one with ",
                  now.threads, kNotBitwise));
  if (then.scaled_decode && *then.scaled_decode != now.scaled_decode)
    log::warn(cat("that training decoded JPEGs with scaled_decode=", *then.scaled_decode,
                  ", this one with ", now.scaled_decode, ", which gives other pixels",
                  kNotBitwise));
  if (known && then.devices != now.devices)
    log::warn(cat("that training ran on ", plural(then.devices, "device"), ", this one on ",
                  now.devices, kNotBitwise));
}

void check_algorithms(const Tuning& remembered, const Tuning& taken) {
  std::set<std::string> known;
  std::istringstream now(taken.lines()), then(remembered.lines());
  for (std::string line; std::getline(now, line);) known.insert(line);
  std::int64_t missing = 0;
  for (std::string line; std::getline(then, line);) missing += !known.contains(line);
  if (missing > 0)
    log::warn(cat(missing, " of the ", plural(remembered.size(), "algorithm"),
                  " that the run began with cannot be taken any more", kNotBitwise));
}

}  // namespace darknet
