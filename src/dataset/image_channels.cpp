#include "dataset/image_channels.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "image/image_warnings.h"

namespace darknet {
namespace {

constexpr std::size_t kSpread = 16;  // every 16th image first, then those between

// How many channels images of a kind have, as their names say it.
enum class ChannelKind : std::uint8_t { plain, png, any };

ChannelKind channel_kind_of(const std::filesystem::path& path) {
  const std::string extension = lower_case(path.extension().string());
  if (extension == ".png") return ChannelKind::png;
  return extension == ".npy" || extension == ".tif" || extension == ".tiff" ? ChannelKind::any
                                                                            : ChannelKind::plain;
}

// Why it does not fit; "" where it does, or cannot be read whatever the number.
std::string why_unfit(const ImagePaths& images, std::size_t i, const InputValues& values) {
  try {
    read_listed_input(images, i, values);
    return "";
  } catch (const SourceFailure&) {
    throw;  // the whole shard or server is gone
  } catch (const Error& unfit) {
    try {
      read_listed_input(images, i, {.channels = 0});
      return unfit.what();
    } catch (const Error&) {
      return "";
    }
  }
}

}  // namespace

UnfitImages images_of_other_channels(const ImagePaths& images, const InputValues& values,
                                     double seconds) {
  const bool plain_fit = values.channels == 0 || values.channels == 1 || values.channels == 3;
  const bool with_alpha = values.channels == 2 || values.channels == 4;
  UnfitImages unfit;
  std::vector<std::size_t> to_read;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::filesystem::path path = images[i];
    const ChannelKind kind = channel_kind_of(path);
    if (kind == ChannelKind::any || (kind == ChannelKind::png && with_alpha)) {
      to_read.push_back(i);
    } else if (!plain_fit && unfit.count++ == 0) {
      unfit.first = cat(path.string(), ": images of this kind have ",
                        kind == ChannelKind::png ? "1 to 4" : "1 or 3",
                        " channels, the cfg says [net] channels=", values.channels,
                        "; .npy files and TIFFs have any number");
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t offset = 0; offset < kSpread; ++offset)
    for (std::size_t k = offset; k < to_read.size(); k += kSpread) {
      const std::chrono::duration<double> since = std::chrono::steady_clock::now() - begin;
      if (since.count() > seconds) return unfit;
      const std::string why = why_unfit(images, to_read[k], values);
      if (!why.empty() && unfit.count++ == 0) unfit.first = why;
    }
  return unfit;
}

}  // namespace darknet
