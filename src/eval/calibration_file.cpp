#include "eval/calibration_file.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/text.h"

namespace darknet {
namespace {
using nlohmann::json;

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr const char* kRemedy = "darknet detector calibrate writes one";

[[noreturn]] void fail_in(const std::filesystem::path& file, const std::string& why) {
  fail(file.string(), ": ", why, "; ", kRemedy);
}

const json& field(const std::filesystem::path& file, const json& from, const char* key) {
  const auto at = from.find(key);
  if (at == from.end()) fail_in(file, cat("this is not a calibration: it has no \"", key, "\""));
  return *at;
}

// As text: JSON numbers are doubles to many programs.
std::string checksum_text(std::uint64_t sum) { return fmt::format("{:016x}", sum); }

ConfidenceMap map_of(const std::filesystem::path& file, const json& from) {
  if (const auto knots = from.find("curve"); knots != from.end()) {
    std::vector<ConfidenceMap::Knot> points;
    for (const json& point : *knots) {
      if (!point.is_array() || point.size() != 2 || !point[0].is_number() || !point[1].is_number())
        fail_in(file, "\"curve\" is not a list of pairs of numbers");
      points.push_back({point[0].get<double>(), point[1].get<double>()});
    }
    return ConfidenceMap::of_knots(std::move(points));
  }
  const json& temperature = field(file, from, "temperature");
  if (!temperature.is_number()) fail_in(file, "\"temperature\" is not a number");
  const auto value = temperature.get<double>();
  if (!(value >= kLeastTemperature && value <= kMostTemperature))
    fail_in(file, cat("\"temperature\" is not from ", kLeastTemperature, " to ", kMostTemperature));
  return ConfidenceMap::of_temperature(value);
}

void require_network(const std::filesystem::path& file, const json& from,
                     const CalibratedNetwork& network) {
  const json& weights = field(file, from, "weights_checksum");
  if (!weights.is_string() || weights.get<std::string>() != checksum_text(network.weights))
    fail_in(file, "this calibration is of other weights");
  if (field(file, from, "obj_calibrate") != json(network.obj_calibrate))
    fail_in(file, "this calibration is of a network with another obj_calibrate");
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
  const json from = parse_json(read_file(file, kMaxBytes));
  const bool same = from.at("weights_checksum") == checksum_text(network.weights) &&
                    from.at("obj_calibrate") == json(network.obj_calibrate);
  return fmt::format("{} by {} in {}, D-ECE {:.4f} after it{}", text_of(map_of(file, from)),
                     plural(from.at("detections").get<std::int64_t>(), "detection"),
                     plural(from.at("images").get<std::int64_t>(), "image"),
                     from.at("d_ece_after").get<double>(), same ? "" : ", of another network");
} catch (const std::exception&) {
  return "a file that is damaged";
}

ConfidenceMap read_calibration(const std::filesystem::path& file,
                               const CalibratedNetwork& network) {
  if (!is_present(file)) fail_in(file, "there is no such file");
  const json from = parse_json(read_file(file, kMaxBytes), false);
  if (!from.is_object()) fail_in(file, "this is not a JSON object");
  if (field(file, from, "calibration") != 1) fail_in(file, "a calibration of an unknown form");
  require_network(file, from, network);
  try {
    return map_of(file, from);
  } catch (const Error& e) {
    fail(file.string(), ": ", e.what());
  }
}

}  // namespace darknet
