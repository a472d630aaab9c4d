// A cfg for a data set, drafted from one of the shipped networks: what `darknet detector init`
// writes. Here things are measured (objects, images, memory, time); what follows from them is
// train/plan.h.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/device.h"
#include "train/advice.h"
#include "train/length.h"

namespace darknet {

struct DraftOptions {
  std::filesystem::path data;
  std::string like;  // one of draft_networks(); "": chosen by the weights, or by the objects' sizes
  std::filesystem::path weights;  // a backbone or other weights to start from; "": none
  std::string loss = "ce";        // of the objectness: "ce" or "focal"
  BadLabels bad_labels = BadLabels::stop;
  RunLength length;  // none: train/plan.h's usual one
  Device device;
};

struct Draft {
  std::string cfg;                   // the text, with comments
  std::string network;               // that it was drafted from
  std::vector<std::string> reasons;  // what was chosen and why, one line each
  Findings findings;                 // what is still likely to spoil a run with it
};

// The words that DraftOptions::like takes.
std::vector<std::string> draft_networks();

// Throws on errors of the data set, and where the weights do not fit the network. Each part that
// takes long calls `begins` first, with a clause: "while the anchors were clustered".
Draft draft_cfg(const DraftOptions&, const std::function<void(const std::string&)>& begins);

}  // namespace darknet
