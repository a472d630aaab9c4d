// Class trees in kernels: each group of siblings is a softmax of its own, whose probabilities are
// those of the nodes given their parent. For host and device.
#pragma once
#include <cstdint>
#include <type_traits>
#include "cfg/class_tree.h"
#include "core/hd.h"
#include "core/tensor.h"
#include "kernels/assignment.h"
#include "losses/class_loss.h"

namespace darknet {

// A ClassTree in device memory, and the map from labels to its nodes, or to classes without a tree.
struct ClassTreeView {
  const ClassNode* nodes = nullptr;  // null: there is no tree
  const std::int32_t* groups = nullptr;
  std::int64_t group_count = 0;
  const std::int32_t* map = nullptr;
  std::int64_t labels = 0;  // 0: there is no map

  // The class of a label; one beyond the map is a class itself.
  DN_HD std::int32_t class_of(std::int32_t label) const {
    return label < labels ? map[label] : label;
  }
};

// Owns what the view shows.
class ClassTreeBuffers {
 public:
  // Once; later calls change nothing.
  void upload(const Device& device, const ClassTree& tree, const std::vector<std::int32_t>& map) {
    copy(device, nodes_, tree.nodes);
    copy(device, groups_, tree.groups);
    copy(device, map_, map);
    if (!tree.empty()) {
      view_.nodes = static_cast<const ClassNode*>(nodes_.data());
      view_.groups = static_cast<const std::int32_t*>(groups_.data());
      view_.group_count = std::ssize(tree.groups) - 1;
    }
    view_.map = static_cast<const std::int32_t*>(map_.data());
    view_.labels = std::ssize(map);
  }
  const ClassTreeView& view() const { return view_; }

 private:
  template <class T>
  static void copy(const Device& device, Buffer& to, const std::vector<T>& from) {
    if (from.empty() || to.bytes() > 0) return;
    const auto bytes = static_cast<std::int64_t>(from.size() * sizeof(T));
    to = Buffer(device, bytes);
    Stream stream;
    stream.device = device;
    memory(device.type).copy_in(stream, to.data(), from.data(), static_cast<std::size_t>(bytes));
    memory(device.type).synchronize(stream);
  }
  Buffer nodes_, groups_, map_;
  ClassTreeView view_;
};

// Class gradient and loss of one anchor: of the softmax of each group from the node of its class up
// to the top. Groups off that path get none.
template <class C>
struct TreeClasses {
  const AssignArguments& a;
  const ClassTreeView& tree;

  // Overwrites what was there.
  DN_HD void set_gradient(const AnchorPlace& at, std::int32_t node, float scale,
                          AnchorRecord& r) const {
    if (r.class_loss != 0)  // another path
      for (std::int64_t k = 0; k < a.layout.classes(); ++k) g(at, k) = 0;
    r.class_loss = 0;
    for (std::int32_t k = node; k >= 0; k = tree.nodes[k].parent) set_group(at, k, scale, r);
  }

 private:
  DN_HD void set_group(const AnchorPlace& at, std::int32_t node, float scale,
                       AnchorRecord& r) const {
    const ClassNode& n = tree.nodes[node];
    const losses::TrueClass own = losses::true_class_of_softmax(
        n.siblings_end - n.siblings, node - n.siblings,
        [&](std::int64_t k) { return a.logit(at, a.layout.class_entry(n.siblings + k)); });
    const float factor = scale * C::factor(own);
    r.class_loss += scale * C::value(own);
    for (std::int64_t k = n.siblings; k < n.siblings_end; ++k)
      g(at, k) = factor * (a.outputs(at)[a.layout.class_entry(k)] - (k == node ? 1.f : 0.f));
  }
  DN_HD float& g(const AnchorPlace& at, std::int64_t k) const {
    return a.g(at, a.layout.class_entry(k));
  }
};

}  // namespace darknet
