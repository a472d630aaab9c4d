#include "nn/integer_tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/index.h"

namespace darknet {
namespace {

constexpr float kLargest = 255;
constexpr float kCoarsest = 2;  // the shared scale, to that of a reader: one bit is lost

// Tensors that must have the same scale.
struct Group {
  bool integers = true;
  bool shared = false;  // by readers of different scales
  std::optional<IntegerScale> first;
  float low = 0, high = 0;                                // of the values of all readers
  float finest = std::numeric_limits<float>::infinity();  // scale of a reader

  void add(const IntegerScale& reader) {
    if (!first) first = reader;
    shared |= reader != *first;
    const auto zero = static_cast<float>(reader.zero_point);
    low = std::min(low, -zero * reader.scale);
    high = std::max(high, (kLargest - zero) * reader.scale);
    finest = std::min(finest, reader.scale);
  }

  std::optional<IntegerScale> scale() const {
    if (!integers || !first) return std::nullopt;
    if (!shared) return first;
    const float scale = (high - low) / kLargest;
    if (!(scale <= kCoarsest * finest)) return std::nullopt;
    return IntegerScale{scale, static_cast<std::int32_t>(std::lround(-low / scale))};
  }
};

class Groups {
 public:
  explicit Groups(std::span<const IntegerNode> nodes) : groups_(nodes.size()) {
    for (std::size_t i = 0; i < nodes.size(); ++i) of_.push_back(i);
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (nodes[i].keeps)
        for (const std::int64_t s : nodes[i].sources)
          if (s >= 0) join(i, to_size(s));
  }
  Group& of(std::size_t tensor) { return groups_[root(tensor)]; }

 private:
  std::size_t root(std::size_t i) const {
    while (of_[i] != i) i = of_[i];
    return i;
  }
  void join(std::size_t a, std::size_t b) { of_[root(a)] = root(b); }

  std::vector<std::size_t> of_;
  std::vector<Group> groups_;
};

using Scales = std::vector<std::optional<IntegerScale>>;

bool takes_integers(const IntegerNode& n) { return n.reads || n.keeps || n.adds; }
bool makes_integers(const IntegerNode& n) { return n.writes || n.keeps || n.adds; }

void add_readers(std::span<const IntegerNode> nodes, Groups& groups) {
  std::vector<bool> read(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::int64_t s : nodes[i].sources) {
      if (s < 0) {
        groups.of(i).integers &= !nodes[i].keeps;
        continue;
      }
      read[to_size(s)] = true;
      Group& group = groups.of(to_size(s));
      group.integers &= takes_integers(nodes[i]);
      if (nodes[i].reads) group.add(*nodes[i].reads);
    }
  for (std::size_t i = 0; i < nodes.size(); ++i)
    groups.of(i).integers &= read[i] && makes_integers(nodes[i]);
}

// What no convolution reads, from the last sum on.
void add_sums(std::span<const IntegerNode> nodes, Groups& groups) {
  std::vector<bool> measured;
  for (std::size_t i = 0; i < nodes.size(); ++i) measured.push_back(groups.of(i).first.has_value());
  for (std::size_t i = nodes.size(); i-- > 0;)
    if (const auto sum = groups.of(i).scale(); nodes[i].adds && sum)
      for (const std::int64_t s : nodes[i].sources)
        if (s >= 0 && !measured[to_size(s)]) groups.of(to_size(s)).add(*sum);
}

}  // namespace

Scales integer_tensors(std::span<const IntegerNode> nodes) {
  Groups groups(nodes);
  add_readers(nodes, groups);
  add_sums(nodes, groups);
  Scales scales;
  for (std::size_t i = 0; i < nodes.size(); ++i) scales.push_back(groups.of(i).scale());
  return scales;
}

}  // namespace darknet
