#include <algorithm>

#include "cfg/legacy_keys.h"
#include "cfg/parse.h"
#include "nn/head_types.h"
#include "nn/layer.h"

namespace darknet {

#define LAYER(name, alias)                             \
  LayerPtr make_##name(Section&, const LayerContext&); \
  void describe_##name(KeyDocs&);
#include "layers/layers.def"
#undef LAYER

namespace {

struct Entry {
  std::string_view name, alias;
  LayerPtr (*make)(Section&, const LayerContext&);
  void (*describe)(KeyDocs&);
  bool head;
};
constexpr Entry kLayers[] = {
#define LAYER(name, alias) {#name, #alias, make_##name, describe_##name, false},
#define HEAD(name, alias) {#name, #alias, make_##name, describe_##name, true},
#include "layers/layers.def"
#undef LAYER
};

const Entry* entry_of(std::string_view type) {
  for (const Entry& e : kLayers)
    if (type == e.name || type == e.alias) return &e;
  return nullptr;
}

struct UnsupportedSection {
  std::string_view name, why;
};
constexpr UnsupportedSection kUnsupported[] = {
#define SECTION(name, why) {#name, why},
#include "cfg/legacy_sections.def"
#undef SECTION
};

std::string suggestion(std::string_view type) {
  std::vector<std::string> known;
  for (const Entry& e : kLayers) {
    known.emplace_back(e.name);
    if (e.alias != e.name) known.emplace_back(e.alias);
  }
  const std::string near = nearest(type, known);
  return near.empty() ? "" : cat("; did you mean [", near, "]?");
}

}  // namespace

LayerPtr make_layer(Section& s, const LayerContext& context) {
  const Entry* const e = entry_of(s.type());
  if (s.type() == "net" || s.type() == "network")
    fail_at(s.where(), "a second [", s.type(),
            "]: a .cfg has one, its first section; put these keys there, or remove them");
  if (const auto why = why_unsupported(s.type()); !why.empty())
    fail_at(s.where(), "[", s.type(), "]: ", why);
  if (!e) fail_at(s.where(), "unknown section [", s.type(), "]", suggestion(s.type()));
  LayerPtr layer = e->make(s, context);
  take_legacy_keys(s, e->name);
  s.finish();
  return layer;
}

KeyDocs layer_keys(std::string_view type) {
  const Entry* const e = entry_of(type);
  if (!e) fail("unknown section [", type, "]", suggestion(type));
  KeyDocs docs;
  e->describe(docs);
  return docs;
}

std::string_view why_unsupported(std::string_view type) {
  for (const UnsupportedSection& u : kUnsupported)
    if (type == u.name) return u.why;
  return "";
}

std::string_view layer_type_name(std::string_view type) {
  const Entry* const e = entry_of(type);
  return e ? e->name : std::string_view();
}

bool is_head_type(std::string_view type) {
  const Entry* const e = entry_of(type);
  return e && e->head;
}

std::vector<std::string> head_types() {
  std::vector<std::string> names;
  for (const Entry& e : kLayers)
    if (e.head) names.emplace_back(e.name);
  return names;
}

std::string head_names(std::string_view conjunction) {
  std::string text;
  const std::vector<std::string> all = head_types();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool last = i + 1 == all.size();
    text += cat(i == 0 ? "" : last ? cat(' ', conjunction, ' ') : ", ", '[', all[i], ']');
  }
  return text;
}

std::vector<std::string> layer_types() {
  std::vector<std::string> names;
  for (const Entry& e : kLayers) names.emplace_back(e.name);
  return names;
}

}  // namespace darknet
