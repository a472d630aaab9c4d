#include "core/text.h"

#include "core/error.h"

namespace darknet {

bool LineReader::next(std::string_view& line) {
  constexpr int kEnd = std::char_traits<char>::eof();
  raw_.clear();
  int c = in_.sbumpc();
  if (c == kEnd) return false;
  ++number_;
  for (; c != kEnd && c != '\n'; c = in_.sbumpc()) {
    if (raw_.size() == max_line_)
      fail_at({name_, number_}, "this line is longer than ", max_line_,
              " bytes; this is not a text file of the expected kind");
    raw_ += static_cast<char>(c);
  }
  bytes_ += raw_.size() + 1;
  if (number_ == 1 && raw_.starts_with("\xEF\xBB\xBF")) raw_.erase(0, 3);
  line = trim(raw_);
  return true;
}

}  // namespace darknet
