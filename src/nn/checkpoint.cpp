#include "nn/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/checksum.h"
#include "core/file.h"
#include "core/index.h"
#include "core/json.h"
#include "core/log.h"
#include "nn/running_values.h"

namespace darknet {
namespace {

constexpr char kStateMagic[8] = {'D', 'N', 'F', 'S', 'T', 'A', 'T', '1'};
constexpr std::uint64_t kMaxStateBytes = std::uint64_t{64} << 30;
constexpr std::uint64_t kMaxHeader = 64u << 20;

using nlohmann::json;

std::vector<Optimizer::Array> arrays_of(const Network& net, Optimizer& optimizer) {
  std::vector<Optimizer::Array> arrays;
  const auto parameters = net.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    arrays.push_back({cat("parameter ", i), &parameters[i]->value});
  for (Optimizer::Array& a : optimizer.state()) arrays.push_back(std::move(a));
  return arrays;
}

// In the header, of what the loss of a head keeps.
std::string name_of(const RunningAt& at) {
  return cat("layer ", at.layer, ": ", at.values->name());
}

json running_of(const Network& net) {
  json all = json::object();
  for (const RunningAt& at : running_values(net))
    all[name_of(at)] = at.values->to_host(net.stream());
  return all;
}

// What another loss left is not taken: a loss without values of its own in the file begins with 0.
void take_running(const json& header, const Network& net, const std::string& path) {
  const json all = header.value("running", json::object());
  for (const RunningAt& at : running_values(net)) {
    const std::string name = name_of(at);
    std::vector<double> values(to_size(at.values->values()));
    if (const auto found = all.find(name); found != all.end())
      found->get_to(values);
    else
      log::info(cat(name, " begin with 0: the .state file has none"));
    if (std::ssize(values) != at.values->values() ||
        !std::ranges::all_of(values, [](double v) { return std::isfinite(v) && v >= 0; }))
      fail(path, ": the file is damaged: '", name, "' in its header makes no sense");
    at.values->copy_from(net.stream(), values);
  }
}

json header_of(const TrainingState& s, const std::vector<Optimizer::Array>& arrays,
               bool averaging) {
  json header{{"iteration", s.iteration},
              {"seen", s.seen},
              {"seed", s.seed},
              {"best_score", s.evaluation.best_score},
              {"best_iteration", s.evaluation.best_iteration},
              {"evaluations_without_gain", s.evaluation.without_gain},
              {"average_loss", s.average_loss},
              {"planned_iterations", s.planned_iterations},
              {"skipped_images", s.skipped_images},
              {"device", s.device},
              {"devices", s.devices},
              {"threads", s.threads},
              {"exact", s.exact},
              {"deterministic", s.deterministic},
              {"precision", s.precision},
              {"loss_scale", s.loss_scale.scale},
              {"loss_scale_steps", s.loss_scale.steps},
              {"positives_average", s.positives_average},
              {"evaluation_pending", s.evaluation.pending},
              {"weights_checksum", s.weights_checksum},
              {"previous_checksum", s.previous_checksum},
              {"library", s.algorithms.library()},
              {"algorithms", s.algorithms.lines()},
              {"averaging", averaging},
              {"arrays", json::array()}};
  if (s.scaled_decode) header["scaled_decode"] = *s.scaled_decode;
  for (const auto& a : arrays) header["arrays"].push_back({a.name, a.tensor->size()});
  return header;
}

Tuning algorithms_of(const json& h, const std::string& path) {
  const std::string library = h.value("library", "");
  for (Tuning& t : parse_tunings(h.value("algorithms", ""), path))
    if (t.library() == library) return std::move(t);
  return Tuning(library);
}

void require_sense(const TrainingState& s, const std::string& path) {
  constexpr std::int64_t kMax = std::int64_t{1} << 50;
  const auto within = [](std::int64_t v, std::int64_t min) { return v >= min && v <= kMax; };
  if (!within(s.iteration, 0) || s.seen > std::uint64_t{1} << 62 || !within(s.devices, 1) ||
      !within(s.evaluation.without_gain, 0) || !within(s.skipped_images, 0) ||
      !within(s.planned_iterations, 0) || !(s.evaluation.best_score <= 1) ||
      !(s.loss_scale.scale >= 0) || !within(s.loss_scale.steps, 0) ||
      !(s.positives_average >= 0 && s.positives_average <= kMax))
    fail(path, ": the file is damaged: its header makes no sense");
}

// States of before something was kept lack it.
TrainingState state_of(const json& h, const std::string& path) {
  TrainingState s{
      .iteration = h.at("iteration"),
      .seen = h.at("seen"),
      .seed = h.at("seed"),
      .evaluation = {.best_score = h.at(h.contains("best_score") ? "best_score" : "best_map"),
                     .best_iteration = h.at("best_iteration"),
                     .without_gain = h.at("evaluations_without_gain"),
                     .pending = h.at("evaluation_pending")},
      .average_loss = h.at("average_loss"),
      .planned_iterations = h.value("planned_iterations", std::int64_t{0}),
      .skipped_images = h.at("skipped_images"),
      .device = h.value("device", ""),
      .devices = h.value("devices", std::int64_t{1}),
      .threads = h.value("threads", std::int64_t{0}),
      .exact = h.at("exact"),
      .deterministic = h.value("deterministic", false),
      .precision = h.value("precision", "f32"),  // states of before there were others
      .loss_scale = {h.value("loss_scale", 0.f), h.value("loss_scale_steps", std::int64_t{0})},
      .positives_average = h.value("positives_average", 0.),
      .weights_checksum = h.at("weights_checksum"),
      .previous_checksum = h.at("previous_checksum"),
      .algorithms = algorithms_of(h, path)};
  if (h.contains("scaled_decode")) s.scaled_decode = h["scaled_decode"].get<bool>();
  require_sense(s, path);
  return s;
}

// Magic, length of the header, header (JSON), arrays, checksum of all before it.
struct Layout {
  json header;
  std::size_t arrays_at = 0;
};

Layout parse_layout(const std::string& bytes, const std::string& path) {
  std::uint64_t length = 0, stored = 0;
  constexpr std::size_t kPrefix = sizeof kStateMagic + sizeof length;
  if (bytes.size() < kPrefix + sizeof stored ||
      std::memcmp(bytes.data(), kStateMagic, sizeof kStateMagic) != 0)
    fail(path, ": this is not a .state file of this program");
  std::memcpy(&length, bytes.data() + sizeof kStateMagic, sizeof length);
  std::memcpy(&stored, bytes.data() + bytes.size() - sizeof stored, sizeof stored);
  if (checksum_of(std::string_view(bytes).substr(0, bytes.size() - sizeof stored)) != stored ||
      length > kMaxHeader || kPrefix + length + sizeof stored > bytes.size())
    fail(path, ": the file is damaged (checksum)");
  try {
    return {parse_json(bytes.substr(kPrefix, length)), kPrefix + to_size(length)};
  } catch (const json::exception& e) {
    fail(path, ": the file is damaged: ", e.what());
  }
}

}  // namespace

std::filesystem::path state_path(std::filesystem::path weights) {
  return weights.replace_extension(".state");
}

void save_state(const std::filesystem::path& path, const TrainingState& state, const Network& net,
                Optimizer& optimizer) {
  const auto arrays = arrays_of(net, optimizer);
  json described = header_of(state, arrays, optimizer.has_average());
  described["running"] = running_of(net);
  const std::string header = dump_json(described);
  AtomicFile file(path);
  Checksum sum;
  const auto put = [&](const void* data, std::size_t bytes) {
    sum.add(data, bytes);
    file.write(data, bytes);
  };
  const std::uint64_t length = header.size();
  put(kStateMagic, sizeof kStateMagic);
  put(&length, sizeof length);
  put(header.data(), header.size());
  for (const auto& a : arrays) {
    const std::vector<float> host = a.tensor->to_host(net.stream());
    put(host.data(), host.size() * sizeof(float));
  }
  const std::uint64_t checksum = sum.value();
  file.write(&checksum, sizeof checksum);
  file.commit();
}

TrainingState read_state(const std::filesystem::path& path) {
  const Layout layout = parse_layout(read_file(path, kMaxStateBytes), path.string());
  try {
    return state_of(layout.header, path.string());
  } catch (const json::exception& e) {
    fail(path.string(), ": the file is damaged: ", e.what());
  }
}

TrainingState load_state(const std::filesystem::path& path, Network& net, Optimizer& optimizer) {
  const std::string bytes = read_file(path, kMaxStateBytes);
  const Layout layout = parse_layout(bytes, path.string());
  const auto arrays = arrays_of(net, optimizer);
  try {
    const json& listed = layout.header.at("arrays");
    if (listed.size() != arrays.size())
      fail(path.string(), ": holds ", listed.size(), " arrays, this network and optimizer have ",
           arrays.size(), "; it belongs to another cfg");
    std::size_t at = layout.arrays_at;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      const std::int64_t n = listed[i].at(1);
      if (listed[i].at(0) != arrays[i].name || n != arrays[i].tensor->size() ||
          at + to_size(n) * sizeof(float) + sizeof(std::uint64_t) > bytes.size())
        fail(path.string(), ": ", listed[i].at(0).get<std::string>(), " has ", n, " values, ",
             arrays[i].name, " needs ", arrays[i].tensor->size(), "; it belongs to another cfg");
      std::vector<float> host(to_size(n));
      std::memcpy(host.data(), bytes.data() + at, host.size() * sizeof(float));
      arrays[i].tensor->copy_from(net.stream(), host);
      at += host.size() * sizeof(float);
    }
    optimizer.set_averaging(layout.header.at("averaging"));
    take_running(layout.header, net, path.string());
    return state_of(layout.header, path.string());
  } catch (const json::exception& e) {
    fail(path.string(), ": the file is damaged: ", e.what());
  }
}

void broadcast_state(Ranks& ranks, TrainingState& state, Network& net, Optimizer& optimizer) {
  constexpr const char* kFrom = "the state of rank 0";
  const auto arrays = arrays_of(net, optimizer);
  json described = header_of(state, arrays, optimizer.has_average());
  described["running"] = running_of(net);
  const json header = parse_json(ranks.broadcast(dump_json(described)));
  for (const auto& a : arrays) {
    std::vector<float> host = a.tensor->to_host(net.stream());
    ranks.broadcast(host);
    if (!ranks.is_first()) a.tensor->copy_from(net.stream(), host);
  }
  if (ranks.is_first()) return;
  optimizer.set_averaging(header.at("averaging"));
  take_running(header, net, kFrom);
  state = state_of(header, kFrom);
}

}  // namespace darknet
