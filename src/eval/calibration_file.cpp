#include "eval/calibration_file.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/text.h"
#include "eval/stored_json.h"

namespace darknet {
namespace {
using nlohmann::json;

constexpr std::uint64_t kMaxCalibrationBytes = std::uint64_t{64} << 20;

ConfidenceMap map_of(const StoredJson& file) {
  const json& from = file.root();
  if (const auto knots = from.find("curve"); knots != from.end()) {
    std::vector<ConfidenceMap::Knot> points;
    for (const json& point : *knots) {
      if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_number())
        file.fail_in("\"curve\" is not a list of pairs of numbers");
      points.push_back({point[0].get<double>(), point[1].get<double>()});
    }
    try {
      return ConfidenceMap::of_knots(std::move(points));
    } catch (const Error& e) {
      file.fail_in(e.what());
    }
  }
  const double value = file.number(file.field(from, "temperature"), "temperature");
  if (!(value >= kLeastTemperature && value <= kMostTemperature))
    file.fail_in(cat("\"temperature\" is not from ", kLeastTemperature, " to ", kMostTemperature));
  return ConfidenceMap::of_temperature(value);
}

StoredJson stored(const std::filesystem::path& file) {
  return {file, "darknet detector calibrate writes one", kMaxCalibrationBytes};
}

}  // namespace

CalibratedNetwork calibrated_network(const Network& net, std::uint64_t weights) {
  CalibratedNetwork network{.weights = weights};
  for (const HeadAt& at : net.heads())
    network.obj_calibrate.push_back(at.head->settings().calibrated);
  return network;
}

std::filesystem::path calibration_path(std::filesystem::path weights) {
  return weights.replace_extension(".calibration.json");
}

FileFormat calibration_format() {
  return json_format({"calibration", "curve", "d_ece_after", "d_ece_before", "detections", "hits",
                      "images", "obj_calibrate", "temperature", "weights_checksum"});
}

void write_calibration(const std::filesystem::path& file, const CalibratedNetwork& network,
                       const Recalibration& r) {
  json out{{"calibration", 1},
           {"d_ece_after", r.after.error},
           {"d_ece_before", r.before.error},
           {"detections", r.detections},
           {"hits", r.hits},
           {"images", r.images},
           {"obj_calibrate", network.obj_calibrate},
           {"weights_checksum", checksum_text(network.weights)}};
  if (r.map.knots().empty()) {
    out["temperature"] = r.map.temperature();
  } else {
    out["curve"] = json::array();
    for (const auto& [confidence, precision] : r.map.knots())
      out["curve"].push_back({confidence, precision});
  }
  write_file_atomically(file, dump_json(out, 2) + "\n");
}

std::string text_of(const ConfidenceMap& map) {
  return map.knots().empty() ? fmt::format("temperature {:.3f}", map.temperature())
                             : "isotonic curve of " + plural(std::ssize(map.knots()), "point");
}

std::string calibration_text(const std::filesystem::path& file,
                             const CalibratedNetwork& network) try {
  if (!is_present(file)) return "";
  const StoredJson read = stored(file);
  const json& from = read.root();
  const bool same = from.at("weights_checksum") == checksum_text(network.weights) &&
                    from.at("obj_calibrate") == json(network.obj_calibrate);
  return fmt::format("{} by {} in {}, D-ECE {:.4f} after it{}", text_of(map_of(read)),
                     plural(from.at("detections").get<std::int64_t>(), "detection"),
                     plural(from.at("images").get<std::int64_t>(), "image"),
                     from.at("d_ece_after").get<double>(), same ? "" : ", of another network");
} catch (const std::exception&) {
  return "a file that is damaged";
}

ConfidenceMap read_calibration(const std::filesystem::path& path,
                               const CalibratedNetwork& network) {
  const StoredJson file = stored(path);
  const json& from = file.root();
  if (file.field(from, "calibration") != 1) file.fail_in("a calibration of an unknown form");
  file.require_checksum("weights_checksum", network.weights,
                        "this calibration is of other weights");
  if (file.field(from, "obj_calibrate") != json(network.obj_calibrate))
    file.fail_in("this calibration is of a network with another obj_calibrate");
  return map_of(file);
}

}  // namespace darknet
