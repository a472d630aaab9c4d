// The `activation` key of a section as a declared key and as a value.
#pragma once
#include <string>
#include "cfg/section.h"
#include "core/activation.h"

namespace darknet {

inline OneOf activation_words() {
  OneOf words;
  for (int i = 0; i <= static_cast<int>(Activation::swish); ++i)
    words.words.emplace_back(to_string(static_cast<Activation>(i)));
  return words;
}

// `word` was read as one of activation_words().
inline Activation activation_of(const std::string& word) { return *activation_by_name(word); }

}  // namespace darknet
