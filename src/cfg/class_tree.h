// Trees of classes (`tree=` of [region] and [softmax]) as YOLO9000 has one, and maps from the
// classes of labels to their nodes (`map=`): text files, a node or a label a line.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hd.h"

namespace darknet {

// One class. Trivially copyable, for kernels. Siblings and children are ranges of nodes; a leaf has
// an empty one.
struct ClassNode {
  std::int32_t parent = -1;  // -1: at the top
  std::int32_t siblings = 0, siblings_end = 0;
  std::int32_t children = 0, children_end = 0;
  DN_HD bool leaf() const { return children == children_end; }
};

struct ClassTree {
  std::vector<ClassNode> nodes;  // parents come before their children; the first ones are the top
  std::vector<std::int32_t> groups;  // where each group of siblings begins; and the number of nodes
  std::vector<std::string> names;    // of the nodes
  bool empty() const { return nodes.empty(); }
};

// Lines `name parent`: the number of the parent's line from 0, or -1. Throws, with the line, where
// a parent is none of the lines before, and where other nodes are between siblings. Warns of the
// first name that two nodes have.
ClassTree read_class_tree(const std::filesystem::path&);
// Lines of one number each: the node of each label. Throws where that is not below `nodes`.
std::vector<std::int32_t> read_class_map(const std::filesystem::path&, std::int64_t nodes);

// Where a node's name is that of another class in `names`: what is wrong, to be followed by where
// the names are from. "": nowhere. Names that no class has, such as WordNet's numbers, say nothing.
std::string name_conflict(std::span<const std::string> tree_names,
                          std::span<const std::string> names);

// probabilities[k] of each node given its parent become those of the node: its own times those of
// all nodes above it.
void multiply_down(const ClassTree&, std::vector<float>& probabilities);

struct FoundNode {
  std::int32_t node;
  float probability;
};
// From the top to the most probable node below, as long as its probability exceeds `least`; at
// least one of the top. `probabilities`: as multiply_down() leaves them.
FoundNode deepest_node(const ClassTree&, const std::vector<float>& probabilities, float least);

}  // namespace darknet
