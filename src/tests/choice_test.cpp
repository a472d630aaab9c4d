// Keys that choose a value of an enum by its name.
#include <gtest/gtest.h>

#include "cfg/section.h"

namespace darknet {
namespace {

enum class HowMixed : std::uint8_t { automatic, none, half };
constexpr auto choices(HowMixed) {  // automatic: what an absent key means
  return std::to_array<Named<HowMixed>>({{"none", HowMixed::none}, {"half", HowMixed::half}});
}

struct MixingKeys {
  HowMixed mixing = HowMixed::automatic, other = HowMixed::half;
  template <class V>
  void fields(V&& v) {
    v("mixing", mixing, Choice<HowMixed>{}, "how");
    v("other", other, TrainingOnly{Choice<HowMixed>{}}, "how the others");
  }
};

MixingKeys keys_of(const std::string& key, const std::string& value, bool training = true) {
  Section section("mixer", {"net.cfg", 1});
  section.set_training(training);
  if (!key.empty()) section.add(key, value, 2);
  MixingKeys keys;
  section.read(keys);
  section.finish();
  return keys;
}

TEST(Choice, IsReadByItsNameAndKeepsItsDefault) {
  EXPECT_EQ(keys_of("", "").mixing, HowMixed::automatic);
  EXPECT_EQ(keys_of("", "").other, HowMixed::half);
  EXPECT_EQ(keys_of("mixing", "none").mixing, HowMixed::none);
  EXPECT_EQ(keys_of("mixing", "half").mixing, HowMixed::half);
  EXPECT_EQ(keys_of("other", "none").other, HowMixed::none);
  EXPECT_EQ(keys_of("mixing", "HALF").mixing, HowMixed::half);  // in any case
}

TEST(Choice, OfAnotherWordIsRefused) {
  const auto refused = [](const std::string& value) -> std::string {
    try {
      keys_of("mixing", value);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refused("haf"),
            "net.cfg:2: [mixer] mixing: 'haf' is none of none,half; did you mean 'half'?");
  EXPECT_NE(refused(""), "");           // the default's empty name is no word
  EXPECT_NE(refused("automatic"), "");  // nor is the name of the enumerator
  EXPECT_EQ(keys_of("other", "haf", false).other, HowMixed::half);  // nothing is trained
}

TEST(Choice, IsDocumentedByItsNames) {
  KeyDocs docs;
  docs.add(MixingKeys{});
  ASSERT_EQ(docs.docs().size(), 2u);
  EXPECT_EQ(docs.docs()[0].fallback, "");
  EXPECT_EQ(docs.docs()[1].fallback, "half");
  for (const KeyDoc& d : docs.docs()) EXPECT_EQ(d.allowed, "none, half");
}

}  // namespace
}  // namespace darknet
