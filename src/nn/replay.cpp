#include "nn/replay.h"

namespace darknet {

bool ReplayedPasses::Entry::fits(const Pass& p) const {
  return truths == p.truths.data && step == p.step && targets == p.targets.data &&
         capacity == p.truths.capacity && seed == p.seed;
}

void ReplayedPasses::run(const Stream& stream, const Pass& pass, std::int64_t key,
                         const std::function<void()>& work) {
  Entry& e = by_key_[key];
  if (!e.fits(pass))
    e = {.truths = pass.truths.data,
         .step = pass.step,
         .targets = pass.targets.data,
         .capacity = pass.truths.capacity,
         .seed = pass.seed};
  if (e.done_once && !e.recording) e.recording = streams(stream.device.type).record(stream, work);
  if (e.recording)
    e.recording->replay(stream);
  else
    work();
  e.done_once = true;
}

void ReplayedPasses::forget() { by_key_.clear(); }

}  // namespace darknet
