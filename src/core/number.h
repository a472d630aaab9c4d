// Numbers in text, as every reader of a file takes them.
#pragma once
#include <charconv>
#include <string_view>

namespace darknet {

// Whether all of `text` is one number of type T; a leading plus is fine. No blanks and nothing
// else may stand before or behind it; the locale does not matter.
template <class T>
bool read_number(std::string_view text, T& to) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, to);
  return error == std::errc{} && at == end;
}

// Whether `text` is a number that no T holds: too large, or of a fraction nearer to 0 than any.
template <class T>
bool exceeds_type(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  T ignored{};
  const auto [at, error] = std::from_chars(text.data(), end, ignored);
  return error == std::errc::result_out_of_range && at == end;
}

}  // namespace darknet
