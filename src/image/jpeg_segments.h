// The segments of a JPEG (ITU-T T.81, annex B), for the checks that are made before it is decoded.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "image/file_check.h"

namespace darknet::jpeg {

inline constexpr unsigned kHuffmanTables = 0xC4, kStartOfScan = 0xDA, kEndOfImage = 0xD9,
                          kApp1 = 0xE1;

struct Segment {
  unsigned marker = 0;
  std::size_t begin = 0, end = 0;  // of its contents
};

// Where the marker of the start of the image ends, fill bytes before it skipped; 0: no JPEG.
std::size_t start_of(std::string_view);

// The next segment from `at`, which stands on or before an 0xFF; false at the file's end and where
// the segment reaches beyond it (`to` then says which). Entropy-coded data between segments is
// skipped: in it 0xFF is followed by 0 or a restart.
bool next_segment(std::string_view, std::size_t at, Segment& to);

// Whether the marker is one of a frame (SOF), which has the image's size and components.
bool is_frame(unsigned marker);

// Why no JPEG of which this is known is decoded; "": it may be.
std::string why_refused(const Soundness&);

// Whether every coefficient of every component was sent to its last bit: of a progressive JPEG that
// ends between two scans, some were not.
bool scans_are_all_there(std::string_view);

// Whether every Huffman table that a scan decodes with was defined before it (B.2.3, B.2.4.2).
bool scans_have_tables(std::string_view);

}  // namespace darknet::jpeg
