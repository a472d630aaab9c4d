#include "report/event_file.h"

#include <boost/crc.hpp>
#include <cmath>

namespace darknet {
namespace {

// Protocol buffers' encoding: a key is the field's number and its wire type.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    key(field, Wire::varint);
    add_varint(value);
    return *this;
  }
  Message& number(int field, double value) { return fixed(field, Wire::fixed64, value); }
  Message& number(int field, float value) { return fixed(field, Wire::fixed32, value); }
  Message& bytes(int field, const std::string& value) {
    key(field, Wire::bytes);
    add_varint(value.size());
    text_ += value;
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  void key(int field, Wire wire) {
    add_varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire));
  }
  void add_varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) text_ += static_cast<char>((value & 127) | 128);
    text_ += static_cast<char>(value);
  }
  template <class T>
  Message& fixed(int field, Wire wire, T value) {
    key(field, wire);
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian, as here
    return *this;
  }
  std::string text_;
};

// CRC-32C, turned and shifted so that a checksum of checksums is sound.
std::uint32_t masked_checksum(const std::string& bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> sum;
  sum.process_bytes(bytes.data(), bytes.size());
  const auto crc = static_cast<std::uint32_t>(sum.checksum());
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

template <class T>
std::string little_endian(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string record(const Message& event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.text().size()));
  return length + little_endian(masked_checksum(length)) + event.text() +
         little_endian(masked_checksum(event.text()));
}

// Numbers of the fields of the messages Event, Summary, Summary.Value and SessionLog.
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
constexpr int kValue = 1;
constexpr int kTag = 1, kSimpleValue = 2;
constexpr int kStatus = 1;
constexpr std::uint64_t kSessionStart = 1;

Message event_at(double seconds, std::int64_t step) {
  return Message().number(kWallTime, seconds).varint(kStep, static_cast<std::uint64_t>(step));
}

}  // namespace

std::string event_file_head(double seconds) {
  return record(Message().number(kWallTime, seconds).bytes(kFileVersion, "brain.Event:2"));
}

std::string event_of_start(double seconds, std::int64_t step) {
  return record(event_at(seconds, step + 1)
                    .bytes(kSessionLog, Message().varint(kStatus, kSessionStart).text()));
}

std::string event_of_scalars(double seconds, std::int64_t step, std::span<const Scalar> scalars) {
  Message summary;
  for (const Scalar& s : scalars)
    if (!std::isnan(s.value))
      summary.bytes(
          kValue,
          Message().bytes(kTag, s.name).number(kSimpleValue, static_cast<float>(s.value)).text());
  return record(event_at(seconds, step).bytes(kSummary, summary.text()));
}

}  // namespace darknet
