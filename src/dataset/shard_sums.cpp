#include "dataset/shard_sums.h"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string_view>

#include "core/error.h"
#include "core/number.h"
#include "core/sha256.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxSumsBytes = 256u << 20;
constexpr std::size_t kHexDigits = 64;
constexpr std::string_view kBytes = "# bytes ";  // sha256sum skips lines that begin with #
constexpr const char* kRemedy = "; copy it again, or pack again";

std::string folder_of(const std::string& shard) {  // with the slash behind it
  const auto slash = shard.rfind('/');
  return slash == shard.npos ? "" : shard.substr(0, slash + 1);
}

}  // namespace

std::string sum_lines(const std::string& shard, const ShardSum& sum) {
  return cat(kBytes, sum.bytes, ' ', shard, '\n', sum.sha256, "  ", shard, '\n');
}

void ShardSums::add_next_to(const std::string& shard) {
  const std::string folder = folder_of(shard);
  if (folders_.insert(folder).second) add(folder);
}

// Lines of sha256sum: the digits, two characters, the name.
void ShardSums::add(const std::string& folder) {
  std::istringstream in(read_all(folder + kShardSums, kMaxSumsBytes));
  LineReader reader(in, folder + kShardSums);
  for (std::string_view line; reader.next(line);) {
    if (line.starts_with(kBytes)) {
      const auto end = std::min(line.find(' ', kBytes.size()), line.size() - 1);
      std::uint64_t bytes = 0;
      if (read_number(line.substr(kBytes.size(), end - kBytes.size()), bytes))
        sums_[folder + std::string(line.substr(end + 1))].bytes = bytes;
    }
    if (line.empty() || line.starts_with('#')) continue;
    const std::string digits = lower_case(std::string(line.substr(0, kHexDigits)));
    if (line.size() < kHexDigits + 3 || digits.find_first_not_of("0123456789abcdef") != digits.npos)
      fail_at({folder + kShardSums, reader.number()}, "expected a SHA-256 and the name of a shard");
    std::string_view name = line.substr(kHexDigits + 2);
    if (name.starts_with("./")) name.remove_prefix(2);  // as of `sha256sum ./*.tar`
    sums_[folder + std::string(name)].sha256 = digits;
  }
}

const ShardSum* ShardSums::of(const std::string& shard) const {
  const auto at = sums_.find(shard);
  return at == sums_.end() || at->second.sha256.empty() ? nullptr : &at->second;
}

std::string why_not_of_size(const ByteSource& shard, const ShardSum& sum) {
  if (sum.bytes == 0 || sum.bytes == shard.size()) return "";
  return cat("was changed or cut short since it was packed: it has ", shard.size(), " bytes, in ",
             kShardSums, ' ', sum.bytes, kRemedy);
}

std::string why_not_as_packed(const ByteSource& shard, const ShardSum& sum,
                              const std::function<bool()>& stop) {
  if (std::string why = why_not_of_size(shard, sum); !why.empty()) return why;
  constexpr std::uint64_t kPiece = 4u << 20;
  std::string piece(static_cast<std::size_t>(std::min(kPiece, shard.size())), '\0');
  Sha256 found;
  for (std::uint64_t at = 0; at < shard.size(); at += kPiece) {
    if (stop()) return "";
    const auto n = static_cast<std::size_t>(std::min(kPiece, shard.size() - at));
    shard.read(at, piece.data(), n);
    found.add(piece.data(), n);
  }
  if (found.hex() == sum.sha256) return "";
  return cat("was changed or damaged since it was packed: its SHA-256 is not that of ", kShardSums,
             kRemedy);
}

}  // namespace darknet
