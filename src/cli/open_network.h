// Networks as the commands open them (eval/open_network.h), with what a user named.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/network_arguments.h"
#include "eval/open_network.h"

namespace darknet::cli {

// `batch`: images of a forward pass. Throws where the weights do not fill the network.
// `checksum`: where that of the weights file goes; null: nowhere.
Network open_network(const NetworkArguments&, std::int64_t batch = 1,
                     std::uint64_t* checksum = nullptr);

// -calibrate: the calibration next to the weights. Throws where there is none of this network.
ConfidenceMap stored_calibration(const NetworkArguments&, const Network&, std::uint64_t checksum);

// The names of a network's classes: from `names`, or else "class 3"; with `shipped`, before that,
// the list that is called like the cfg or is COCO's or VOC's, and has as many, in data/ of the
// working folder or next to the folder of the cfg.
std::vector<std::string> class_names(const Network&, const std::filesystem::path& names,
                                     bool shipped = false);
// From the .data file; throws where its classes= is another number than the network's.
std::vector<std::string> class_names(const Network&, const DataFile&);

}  // namespace darknet::cli
