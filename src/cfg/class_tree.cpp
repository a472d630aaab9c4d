#include "cfg/class_tree.h"

#include <functional>
#include <map>
#include <string_view>

#include "core/error.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxTreeBytes = 16u << 20;
constexpr std::int64_t kMaxNodes = 1 << 16;  // the most that classes= allows

// Calls take(line, where) for each line; blank ones may stand at the end alone.
void read_tree_lines(const fs::path& path,
                     const std::function<void(std::string_view, const Where&)>& take) {
  InputFile in(path, kMaxTreeBytes, Pipes::allowed);
  LineReader reader(in, path.string());
  int blank = 0, lines = 0;
  for (std::string_view line; reader.next(line);) {
    const Where here{path.string(), reader.number()};
    if (line.find('\0') != line.npos)
      fail_at(here, "holds zero bytes: this is not a text file, or a damaged one");
    if (line.empty()) {
      blank = blank ? blank : reader.number();
      continue;
    }
    if (blank) fail_at({path.string(), blank}, "a blank line among the others");
    if (++lines > kMaxNodes) fail_at(here, "more than ", kMaxNodes, " lines");
    take(line, here);
  }
  if (lines == 0) fail_at({path.string(), 0}, "there is nothing in this file");
}

std::int64_t node_number(std::string_view text, const Where& where, const char* what) {
  std::int64_t number = 0;
  if (!read_number(text, number)) fail_at(where, "expected ", what, ", got '", shown(text), "'");
  return number;
}

std::int32_t parent_in(std::string_view line, std::int32_t node, const Where& where) {
  constexpr const char* kWhat = "a name and the number of its parent, or -1";
  const auto blank = line.find_last_of(" \t");
  if (blank == line.npos) fail_at(where, "expected ", kWhat, ", got '", shown(line), "'");
  const std::int64_t parent = node_number(line.substr(blank + 1), where, kWhat);
  if (parent < -1 || parent >= node)
    fail_at(where, "the parent ", parent, " is none of the ", plural(node, "node"),
            " before it, which count from 0; -1 means none");
  return static_cast<std::int32_t>(parent);
}

}  // namespace

ClassTree read_class_tree(const fs::path& path) {
  ClassTree tree;
  std::vector<ClassNode>& nodes = tree.nodes;
  std::map<std::string, int> lines;  // by name
  std::string repeated;
  read_tree_lines(path, [&](std::string_view line, const Where& where) {
    const auto n = static_cast<std::int32_t>(nodes.size());
    const std::int32_t parent = parent_in(line, n, where);
    if (n == 0 || parent != nodes.back().parent) {
      const bool taken = parent < 0 ? n > 0 : !nodes[to_size(parent)].leaf();
      if (taken)
        fail_at(where, "other nodes are between this one and its siblings, of parent ", parent,
                ": they belong together");
      tree.groups.push_back(n);
    }
    nodes.push_back({.parent = parent});
    tree.names.emplace_back(trim(line.substr(0, line.find_last_of(" \t"))));
    const auto [first, unique] = lines.try_emplace(tree.names.back(), where.line);
    if (!unique && repeated.empty())
      repeated = cat(to_string(where), ": '", shown(tree.names.back()), "' is on line ",
                     first->second, " too; two classes of one name cannot be told apart");
    if (parent >= 0) {
      ClassNode& above = nodes[to_size(parent)];
      if (above.leaf()) above.children = n;
      above.children_end = n + 1;
    }
  });
  if (!repeated.empty()) log::warn(repeated);
  tree.groups.push_back(static_cast<std::int32_t>(nodes.size()));
  for (std::size_t g = 0; g + 1 < tree.groups.size(); ++g)
    for (std::int32_t n = tree.groups[g]; n < tree.groups[g + 1]; ++n)
      nodes[to_size(n)].siblings = tree.groups[g],
      nodes[to_size(n)].siblings_end = tree.groups[g + 1];
  return tree;
}

std::vector<std::int32_t> read_class_map(const fs::path& path, std::int64_t nodes) {
  std::vector<std::int32_t> map;
  read_tree_lines(path, [&](std::string_view line, const Where& where) {
    const std::int64_t node = node_number(line, where, "the number of a class");
    if (node < 0 || node >= nodes)
      fail_at(where, "there is no class ", node, " among ", nodes, ", counted from 0");
    map.push_back(static_cast<std::int32_t>(node));
  });
  return map;
}

std::string name_conflict(std::span<const std::string> tree_names,
                          std::span<const std::string> names) {
  std::map<std::string_view, std::size_t> classes;
  for (std::size_t c = 0; c < names.size(); ++c) classes.try_emplace(names[c], c);
  for (std::size_t c = 0; c < tree_names.size() && c < names.size(); ++c)
    if (const auto other = classes.find(tree_names[c]);
        other != classes.end() && other->second != c && names[c] != tree_names[c])
      return cat("the tree calls class ", c, " '", shown(tree_names[c]), "', which is class ",
                 other->second, " of the names; class ", c, " is '", shown(names[c]), "' there");
  return "";
}

void multiply_down(const ClassTree& tree, std::vector<float>& probabilities) {
  for (std::size_t n = 0; n < tree.nodes.size(); ++n)
    if (const std::int32_t parent = tree.nodes[n].parent; parent >= 0)
      probabilities[n] *= probabilities[to_size(parent)];
}

FoundNode deepest_node(const ClassTree& tree, const std::vector<float>& probabilities,
                       float least) {
  FoundNode found{-1, 0};
  for (std::int32_t begin = 0, end = tree.groups[1]; begin < end;) {
    std::int32_t best = begin;
    for (std::int32_t n = begin; n < end; ++n)
      if (probabilities[to_size(n)] > probabilities[to_size(best)]) best = n;
    const float p = probabilities[to_size(best)];
    if (found.node >= 0 && !(p > least)) break;
    found = {best, p};
    if (!(p > least)) break;
    begin = tree.nodes[to_size(best)].children, end = tree.nodes[to_size(best)].children_end;
  }
  return found;
}

}  // namespace darknet
