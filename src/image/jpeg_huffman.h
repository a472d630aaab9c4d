// Decodes the Huffman codes of a JPEG in a single scan (ITU-T T.81, annex F) in the place of
// libjpeg-turbo, which takes half of its time for them; libjpeg does all else. A look-up gives two
// coefficients where their bits are few. What is not as the standard asks it leaves to libjpeg, so
// that damaged files decode as ever. Included by jpeg.cpp alone.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>  // before jpeglib.h, which needs it
#include <cstring>
#include <memory>

#include <jpeglib.h>
// From 1.5 on it decodes parts of an image.
#if defined(LIBJPEG_TURBO_VERSION_NUMBER) && LIBJPEG_TURBO_VERSION_NUMBER >= 1005000 && \
    __has_include(<jpegint.h>)
#define DARKNET_JPEG_HUFFMAN
extern "C" {
#include <jpegint.h>
}
#undef MAX
#undef MIN
#endif

#include "core/index.h"

namespace darknet::jpeg {

#if defined(DARKNET_JPEG_HUFFMAN)

// Of `size` bits, 1 to 15 (F.2.2.1, EXTEND).
inline std::int32_t signed_value(std::uint32_t bits, int size) {
  const auto value = static_cast<std::int32_t>(bits);
  return value >= 1 << (size - 1) ? value : value - (1 << size) + 1;
}

// The codes of a table that libjpeg has checked.
class HuffmanCodes {
 public:
  struct Symbol {
    std::uint8_t symbol = 0, bits = 0;  // bits of its code; 0: there is none
  };

  // Whether they were others before.
  bool build(const JHUFF_TBL& table) {
    if (std::ranges::equal(table.bits, counts_) && std::ranges::equal(table.huffval, symbols_))
      return false;
    std::ranges::copy(table.bits, counts_.begin());
    std::ranges::copy(table.huffval, symbols_.begin());
    short_.fill({});
    std::uint32_t code = 0;
    std::int32_t before = 0;  // symbols of shorter codes
    for (int length = 1; length <= 16; ++length, code <<= 1) {
      first_[to_size(length)] = before - static_cast<std::int32_t>(code);
      for (int k = 0; k < table.bits[length]; ++k, ++code, ++before)
        if (length <= kShort)
          std::fill_n(&short_[code << (kShort - length)], 1U << (kShort - length),
                      Symbol{symbols_[to_size(before)], static_cast<std::uint8_t>(length)});
      end_[to_size(length)] = code << (16 - length);
    }
    return true;
  }

  // Of the code that the highest bits begin with.
  Symbol at(std::uint64_t bits) const {
    const Symbol found = short_[bits >> (64 - kShort)];
    return found.bits > 0 ? found : long_code(static_cast<std::uint32_t>(bits >> 48));
  }

 private:
  static constexpr int kShort = 8;  // bits of codes that one look-up finds

  Symbol long_code(std::uint32_t next) const {
    for (int length = kShort + 1; length <= 16; ++length)
      if (next < end_[to_size(length)]) {
        const auto code = static_cast<std::int32_t>(next >> (16 - length));
        return {symbols_[to_size(code + first_[to_size(length)])],
                static_cast<std::uint8_t>(length)};
      }
    return {};
  }

  std::array<Symbol, std::size_t{1} << kShort> short_;
  std::array<std::uint8_t, 17> counts_{};  // by length
  std::array<std::uint8_t, 256> symbols_{};
  std::array<std::int32_t, 17> first_{};  // by length: added to a code, the place of its symbol
  std::array<std::uint32_t, 17> end_{};   // behind the last code of a length, as 16 bits
};

inline constexpr int kPastBlock = 128;        // of coefficients that are 0 from here on
inline constexpr std::uint8_t kNoStep = 255;  // a place beyond any block

// What the next bits say of the next coefficients: as many of two symbols, with their values, as
// kBits have.
struct Step {
  // Of coefficients k + place[i]; where there is one alone, the second is 0 and what is 0 anyhow.
  std::array<std::int16_t, 2> value{};
  std::array<std::uint8_t, 2> place{kNoStep, kNoStep};
  std::uint8_t bits = 0;     // of all
  std::uint8_t advance = 0;  // of k; from kPastBlock on: that was the end of the block
};

class Steps {
 public:
  static constexpr int kBits = 11;

  void build(const HuffmanCodes& codes) {
    for (std::uint32_t bits = 0; bits < steps_.size(); ++bits) {
      Step& step = steps_[bits];
      step = {};
      if (add(step, codes, bits, 0) && step.bits < kBits) add(step, codes, bits, 1);
    }
  }
  const Step& at(std::uint64_t bits) const { return steps_[bits >> (64 - kBits)]; }

 private:
  // The first or the second symbol; whether a second may follow.
  static bool add(Step& to, const HuffmanCodes& codes, std::uint32_t bits, std::size_t i) {
    const std::uint64_t left = std::uint64_t{bits} << (64 - kBits + to.bits);
    const HuffmanCodes::Symbol s = codes.at(left);
    const int zeros = s.symbol >> 4, size = s.symbol & 15, all = to.bits + s.bits + size;
    if (s.bits == 0 || all > kBits) return false;
    const int at = to.advance + (size > 0 ? zeros : 0);
    if (size > 0)
      to.value[i] = static_cast<std::int16_t>(
          signed_value(static_cast<std::uint32_t>(left << s.bits >> (64 - size)), size));
    const bool ends = size == 0 && zeros != 15;
    const int next = ends ? to.advance + kPastBlock : to.advance + zeros + 1;
    to.place[i] = static_cast<std::uint8_t>(at);
    if (i == 0) to.place[1] = static_cast<std::uint8_t>(ends ? at : next);
    to.bits = static_cast<std::uint8_t>(all);
    to.advance = static_cast<std::uint8_t>(next);
    return !ends;
  }

  std::array<Step, std::size_t{1} << kBits> steps_;
};

// The entropy-coded bytes as bits, without what is stuffed into them.
struct BitReader {
  const std::uint8_t *next = nullptr, *end = nullptr;  // of the bytes
  std::uint64_t bits = 0;  // the next ones, the first in the highest; behind the last of them 0
  int count = 0;           // of them; below 0: more were asked for than there are

  // At least 56 bits, or all that there are before a marker.
  void refill() {
    if (end - next < 8) return refill_slowly();
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, next, sizeof bytes);
    if constexpr (std::endian::native == std::endian::little) bytes = __builtin_bswap64(bytes);
    constexpr std::uint64_t kOnes = 0x0101010101010101, kHighest = 0x8080808080808080;
    if (((~bytes - kOnes) & bytes & kHighest) != 0) return refill_slowly();  // one of them is 0xFF
    // What does not fill a byte is read again, with the same bits.
    bits |= bytes >> count;
    next += (63 - count) >> 3;
    count |= 56;
  }
  void skip(int n) { bits <<= n, count -= n; }
  std::uint32_t take(int n) {  // 1 to 16
    const auto taken = static_cast<std::uint32_t>(bits >> (64 - n));
    skip(n);
    return taken;
  }
  // Whether all bits were taken, but for those that fill the last byte, and a marker follows.
  bool before_marker() const {
    return count >= 0 && count < 8 && end - next >= 2 && next[0] == 0xFF && next[1] != 0;
  }

 private:
  [[gnu::noinline]] void refill_slowly() {
    while (count < 56 && next < end) {
      const std::uint64_t byte = *next;
      if (byte == 0xFF && (end - next < 2 || next[1] != 0)) return;
      next += byte == 0xFF ? 2 : 1;
      bits |= byte << (56 - count);
      count += 8;
    }
  }
};

// From coefficient k of a block in the order of a scan to its place (T.81, figure A.6).
inline constexpr std::array<std::uint8_t, DCTSIZE2> kPlaces = [] {
  std::array<std::uint8_t, DCTSIZE2> places{};
  std::size_t k = 0;
  for (int diagonal = 0; diagonal < 2 * DCTSIZE - 1; ++diagonal)
    for (int i = 0; i <= diagonal; ++i) {
      const int row = diagonal % 2 == 0 ? diagonal - i : i, column = diagonal - row;
      if (row < DCTSIZE && column < DCTSIZE)
        places[k++] = static_cast<std::uint8_t>(DCTSIZE * row + column);
    }
  return places;
}();

// Of the last image that a thread decoded: most files share them.
struct HuffmanTables {
  std::array<HuffmanCodes, NUM_HUFF_TBLS> dc, ac;
  std::array<Steps, NUM_HUFF_TBLS> steps;  // of `ac`

  static HuffmanTables& of_thread() {
    thread_local const auto tables = std::make_unique<HuffmanTables>();
    return *tables;
  }
};

// The state of a scan.
class HuffmanDecoder {
 public:
  // Whether it decodes what follows, where libjpeg has begun the scan.
  bool begin(jpeg_decompress_struct& info) {
    // libjpeg 3 takes lossless scans too, whose Ss is above 0, and then checks no AC table.
    const bool sequential = info.Ss == 0 && info.Se == DCTSIZE2 - 1 && info.Ah == 0 && info.Al == 0;
    if (!sequential || info.progressive_mode || info.arith_code || jpeg_has_multiple_scans(&info) ||
        info.comps_in_scan != info.num_components || info.err->num_warnings > 0)
      return false;
    HuffmanTables& tables = HuffmanTables::of_thread();
    for (int k = 0; k < info.comps_in_scan; ++k) {
      const int dc = info.cur_comp_info[k]->dc_tbl_no, ac = info.cur_comp_info[k]->ac_tbl_no;
      if (!has_table(info.dc_huff_tbl_ptrs, dc) || !has_table(info.ac_huff_tbl_ptrs, ac))
        return false;
      tables.dc[to_size(dc)].build(*info.dc_huff_tbl_ptrs[dc]);
      if (tables.ac[to_size(ac)].build(*info.ac_huff_tbl_ptrs[ac]))
        tables.steps[to_size(ac)].build(tables.ac[to_size(ac)]);
    }
    for (int k = 0; k < info.blocks_in_MCU; ++k) {
      const int component = info.MCU_membership[k];
      const jpeg_component_info& c = *info.cur_comp_info[component];
      const auto dc = to_size(c.dc_tbl_no), ac = to_size(c.ac_tbl_no);
      blocks_[to_size(k)] = {component, &tables.dc[dc], &tables.ac[ac], &tables.steps[ac]};
    }
    block_count_ = info.blocks_in_MCU;
    left_ = std::int64_t{info.MCUs_per_row} * info.MCU_rows_in_scan;
    interval_ = to_restart_ = info.restart_interval;
    bits_.next = info.src->next_input_byte;
    bits_.end = bits_.next + info.src->bytes_in_buffer;
    return true;
  }

  // The blocks of the next MCU, which are 0; null: they are not needed. False: libjpeg has to
  // decode the image.
  bool decode(jpeg_decompress_struct& info, JBLOCKROW* to) {
    if (interval_ > 0 && to_restart_ == 0 && !restart()) return false;
    BitReader bits = bits_;
    for (int k = 0; k < block_count_; ++k)
      if (!(to ? decode_block<true>(bits, blocks_[to_size(k)], **(to + k))
               : decode_block<false>(bits, blocks_[to_size(k)], nullptr)))
        return false;
    bits_ = bits;
    --to_restart_;
    if (--left_ > 0) return true;
    if (!bits_.before_marker()) return false;
    info.src->next_input_byte = bits_.next;
    info.src->bytes_in_buffer = static_cast<std::size_t>(bits_.end - bits_.next);
    return true;
  }

 private:
  struct Block {
    int component = 0;
    const HuffmanCodes *dc = nullptr, *ac = nullptr;
    const Steps* steps = nullptr;
  };

  static bool has_table(JHUFF_TBL* const* tables, int number) {
    return number >= 0 && number < NUM_HUFF_TBLS && tables[number];
  }

  bool restart() {
    constexpr unsigned kFirstRestart = 0xD0;
    if (!bits_.before_marker() || bits_.next[1] != kFirstRestart + restarts_ % 8) return false;
    ++restarts_;
    bits_.next += 2;
    bits_.bits = 0, bits_.count = 0;
    to_restart_ = interval_;
    last_dc_ = {};
    return true;
  }

  struct Coefficient {
    bool found = false;  // false: the bits are not as they should be
    int zeros = 0;       // before it
    std::int32_t value = 0;
  };
  // One symbol with its value.
  static Coefficient take(BitReader& bits, const HuffmanCodes& codes) {
    const HuffmanCodes::Symbol s = codes.at(bits.bits);
    if (s.bits == 0) return {};
    bits.skip(s.bits);
    const int size = s.symbol & 15;
    return {true, s.symbol >> 4, size > 0 ? signed_value(bits.take(size), size) : 0};
  }

  [[gnu::noinline]] static bool take_alone(BitReader& bits, const HuffmanCodes& codes, JCOEF* to,
                                           int& k) {
    bits.refill();
    const Coefficient c = take(bits, codes);
    if (c.value == 0 && c.zeros != 15) {
      k = kPastBlock;
      return c.found;
    }
    k += c.zeros;
    if (k >= DCTSIZE2) return false;
    if (to) to[kPlaces[to_size(k)]] = static_cast<JCOEF>(c.value);
    ++k;
    return true;
  }

  template <bool kept>
  bool decode_block(BitReader& bits, const Block& block, JCOEF* to) {
    bits.refill();
    const Coefficient difference = take(bits, *block.dc);
    if (!difference.found) return false;
    constexpr std::int32_t kMaxDc = 1 << 24;  // beyond any that fits
    std::int32_t& dc = last_dc_[to_size(block.component)];
    dc += difference.value;
    if (dc > kMaxDc || dc < -kMaxDc) return false;
    if constexpr (kept) to[0] = static_cast<JCOEF>(dc);
    for (int k = 1; k < DCTSIZE2;) {
      bits.refill();
      constexpr int kSteps = 56 / Steps::kBits;  // for which the bits suffice
      for (int i = 0; i < kSteps && k < DCTSIZE2; ++i) {
        const Step& step = block.steps->at(bits.bits);
        const int last = k + step.place[1];
        if (last >= DCTSIZE2) {
          if (!take_alone(bits, *block.ac, to, k)) return false;
          break;
        }
        if constexpr (kept) {
          to[kPlaces[to_size(k + step.place[0])]] = step.value[0];
          to[kPlaces[to_size(last)]] = step.value[1];
        }
        bits.skip(step.bits);
        k += step.advance;
      }
    }
    return bits.count >= 0;
  }

  std::array<Block, D_MAX_BLOCKS_IN_MCU> blocks_{};
  int block_count_ = 0;
  std::int64_t left_ = 0;  // MCUs
  std::uint32_t interval_ = 0, to_restart_ = 0, restarts_ = 0;
  std::array<std::int32_t, MAX_COMPS_IN_SCAN> last_dc_{};
  BitReader bits_;
};

#endif

}  // namespace darknet::jpeg
