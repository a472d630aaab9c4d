#include "eval/stored_detections.h"

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/checksum.h"
#include "core/file.h"
#include "core/input.h"

namespace darknet {
namespace {

constexpr std::string_view kDetectionsMagic = "darknet detections 1\n";
constexpr std::uint64_t kMaxDetectionBytes = std::uint64_t{1} << 36;

template <class T>
void put(std::string& to, const T& value) {
  static_assert(std::is_arithmetic_v<T>);
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Reads what put() wrote; `sound` is false once there was too little.
struct Reader {
  std::string_view left;
  bool sound = true;
  template <class T>
  T take() {
    T value{};
    sound = sound && left.size() >= sizeof value;
    if (!sound) return value;
    std::memcpy(&value, left.data(), sizeof value);
    left.remove_prefix(sizeof value);
    return value;
  }
};

// One order of the fields for both ways.
template <class D, class F>
void each_field(D& d, F f) {
  f(d.box.x), f(d.box.y), f(d.box.w), f(d.box.h);
  f(d.class_id), f(d.objectness), f(d.probability);
}

EvaluatedImage take_image(Reader& reader) {
  EvaluatedImage image;
  image.width = reader.take<std::int64_t>();
  image.height = reader.take<std::int64_t>();
  const auto count = reader.take<std::uint64_t>();
  for (std::uint64_t k = 0; k < count && reader.sound; ++k)
    each_field(image.detections.emplace_back(), [&](auto& field) {
      field = reader.take<std::remove_reference_t<decltype(field)>>();
    });
  return image;
}

}  // namespace

void store_detections(const std::filesystem::path& file, std::span<const EvaluatedImage> images,
                      std::uint64_t weights) {
  std::string bytes(kDetectionsMagic);
  put(bytes, weights);
  put(bytes, static_cast<std::uint64_t>(images.size()));
  for (const EvaluatedImage& image : images) {
    put(bytes, image.width);
    put(bytes, image.height);
    put(bytes, static_cast<std::uint64_t>(image.detections.size()));
    for (const Detection& d : image.detections)
      each_field(d, [&](const auto& field) { put(bytes, field); });
  }
  put(bytes, checksum_of(bytes));
  remove_file(file);  // one that is damaged has no format by which it would be known
  write_file_atomically(file, bytes);
}

std::optional<std::vector<EvaluatedImage>> stored_detections(const std::filesystem::path& file,
                                                             const EvaluationSet& set,
                                                             std::uint64_t weights) {
  if (!is_present(file)) return std::nullopt;
  const std::string bytes = read_file(file, kMaxDetectionBytes);
  std::string_view body = bytes;
  if (!body.starts_with(kDetectionsMagic) ||
      body.size() < kDetectionsMagic.size() + sizeof(std::uint64_t))
    return std::nullopt;
  Reader end{body.substr(body.size() - sizeof(std::uint64_t))};
  body.remove_suffix(sizeof(std::uint64_t));
  if (end.take<std::uint64_t>() != checksum_of(body)) return std::nullopt;
  Reader reader{body.substr(kDetectionsMagic.size())};
  if (reader.take<std::uint64_t>() != weights ||
      reader.take<std::uint64_t>() != set.images.size() || !reader.sound)
    return std::nullopt;
  std::vector<EvaluatedImage> images;
  for (std::size_t i = 0; i < set.images.size(); ++i) {
    images.push_back(take_image(reader));
    set_ground_truths(images.back(), set, i);
  }
  if (!reader.sound || !reader.left.empty()) return std::nullopt;
  return images;
}

}  // namespace darknet
