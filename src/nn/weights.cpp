#include "nn/weights.h"

#include <cmath>

#include "core/checksum.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "nn/weights_file.h"

namespace darknet {
namespace {

constexpr std::int32_t kMajor = 0, kMinor = 2,
                       kRevision = 5;  // what AlexeyAB's and hank-ai's write

void load_parameter(WeightsFile& file, const Stream& stream, const std::string& title,
                    Parameter& p) {
  std::vector<float> host(to_size(p.value.size()));
  file.take(host.data(), host.size() * sizeof(float), title);
  for (const float v : host)
    if (!std::isfinite(v))
      throw NotFiniteWeights(
          cat(file.path(), ": ", title, ": the file holds a value that is not finite"));
  if (p.role == Role::weights) host = in_memory_order(p.value.shape(), host);
  p.value.copy_from(stream, host);
}

std::int64_t bytes_of(Layer& layer) {
  std::int64_t bytes = 0;
  for (const Parameter* p : layer.parameters())
    if (p->load) bytes += p->value.bytes();
  return bytes;
}

bool load_layer(WeightsFile& file, const Stream& stream, Layer& layer) {
  bool any = false;
  for (Parameter* p : layer.parameters()) {
    if (!p->load) continue;
    load_parameter(file, stream, layer.title(), *p);
    any = true;
  }
  return any;
}

}  // namespace

LoadedWeights load_weights(const std::filesystem::path& path, Network& net,
                           const LoadOptions& options) {
  WeightsFile file(path);
  LoadedWeights loaded;
  loaded.seen = file.header().seen;
  const std::int64_t end = options.layers < 0 ? net.size() : std::min(options.layers, net.size());
  for (std::int64_t i = 0; i < end; ++i) {
    if (file.left() == 0 && loaded.loaded > 0 && options.allow_backbone &&
        bytes_of(net.layer(i)) > 0) {
      loaded.complete = false;
      break;
    }
    loaded.loaded += load_layer(file, net.stream(), net.layer(i)) ? 1 : 0;
    loaded.layers = i + 1;
  }
  loaded.complete = loaded.complete && end == net.size();
  if (file.left() > 0 && options.layers < 0)
    fail(file.path(), ": the file is too long: the network's ", net.size(), " layers end ",
         file.left(), " bytes before the end of its ", file.bytes().size(),
         "; these are weights of another network");
  loaded.checksum = checksum_of(file.bytes());
  return loaded;
}

std::string weights_bytes(const Network& net, std::uint64_t seen, std::int64_t end) {
  std::string bytes;
  const auto put = [&](const void* data, std::size_t n) {
    bytes.append(static_cast<const char*>(data), n);
  };
  const std::int32_t version[3] = {kMajor, kMinor, kRevision};
  put(version, sizeof version);
  put(&seen, sizeof seen);
  for (const Parameter* p : net.parameters(end)) {
    std::vector<float> host = p->value.to_host(net.stream());
    if (p->role == Role::weights) host = in_file_order(p->value.shape(), host);
    put(host.data(), host.size() * sizeof(float));
  }
  return bytes;
}

void save_weights(const std::filesystem::path& path, const Network& net, std::uint64_t seen,
                  std::int64_t end) {
  write_file_atomically(path, weights_bytes(net, seen, end));
}

void copy_parameters(const Network& from, Network& to) {
  const auto sources = from.parameters(), targets = to.parameters();
  if (sources.size() != targets.size()) fail("parameters of two networks do not correspond");
  for (std::size_t i = 0; i < sources.size(); ++i)
    targets[i]->value.copy_from(to.stream(), sources[i]->value.to_host(from.stream()));
  to.parameters_changed();
}

std::filesystem::path find_weights(const std::filesystem::path& given,
                                   const std::filesystem::path& backup) {
  if (given.empty() || is_present(given)) return given;
  if (auto there = backup / given.filename(); is_present(there)) return there;
  fail_at({given.string(), 0}, "this weights file is neither here nor in ", backup.string());
}

}  // namespace darknet
