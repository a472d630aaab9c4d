// The readers of files on thousands of damaged files: each may refuse its input with an Error and
// nothing else. Deterministic; meant to run under the address and undefined-behaviour sanitizers
// too (preset asan).
#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "cfg/parse.h"
#include "core/file.h"
#include "core/rng.h"
#include "core/tuning.h"
#include "dataset/labels.h"
#include "image/codec.h"
#include "image/file_check.h"
#include "image/image.h"
#include "nn/layer.h"
#include "nn/net_settings.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "temporary_folder.h"

namespace darknet {
namespace {

std::size_t place(Rng& rng, const std::string& s) {
  return s.empty() ? 0 : static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(s.size())));
}

// One to four small damages: bytes changed, cut, repeated, or replaced by what readers stumble on.
std::string damaged(std::string s, Rng& rng) {
  static const std::vector<std::string> kNasty = {
      "-1", "99999999999999999999", "1e308",    "nan",      "=",          "[", "]", ",", "\n",
      "#",  std::string(1, '\0'),   "\xFF\xFF", "\xFF\xD9", "2147483648", "0"};
  for (std::int64_t n = 1 + rng.below(4); n > 0; --n) {
    const std::size_t at = place(rng, s), length = static_cast<std::size_t>(1 + rng.below(16));
    switch (rng.below(5)) {
      case 0:
        if (!s.empty()) s[at] = static_cast<char>(rng.below(256));
        break;
      case 1:
        s.erase(at, length);
        break;
      case 2:
        s.insert(at, s.substr(place(rng, s), length));
        break;
      case 3:
        s.insert(
            at,
            kNasty[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(kNasty.size())))]);
        break;
      default:
        s.resize(at);
    }
  }
  return s;
}

struct Outcome {
  int accepted = 0, refused = 0;
};

Outcome try_damaged(const std::string& sound, int times,
                    const std::function<void(const std::string&)>& reader) {
  Outcome outcome;
  for (int i = 0; i < times; ++i) {
    Rng rng(7, static_cast<std::uint64_t>(i));
    const std::string input = i == 0 ? sound : damaged(sound, rng);
    try {
      reader(input);
      ++outcome.accepted;
    } catch (const Error& e) {
      EXPECT_NE(i, 0) << "the sound input was refused: " << e.what();
      EXPECT_STRNE(e.what(), "");
      ++outcome.refused;
    }  // anything else ends the test
  }
  return outcome;
}

const std::string kCfg =
    "[net]\nbatch=2\nwidth=32\nheight=32\nchannels=3\nlearning_rate=1e-3\nsteps=10,20\n"
    "scales=.1,.1\npolicy=steps\n[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\n"
    "pad=1\nactivation=leaky\n[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1,0\n"
    "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1,2\nanchors=1,2, 3,4, 5,6\nclasses=1\nnum=3\nobj_loss=focal\nobj_gamma=2\n";

TEST(Mutation, CfgsAreReadOrRefused) {
  const Outcome o = try_damaged(kCfg, 4000, [](const std::string& text) {
    std::istringstream in(text);
    std::vector<Section> cfg = parse_cfg(in, "x.cfg");
    read_net(cfg.front());
    for (std::size_t i = 1; i < cfg.size(); ++i)
      make_layer(cfg[i],
                 {.index = static_cast<std::int64_t>(i) - 1, .net_width = 32, .net_height = 32});
  });
  EXPECT_GT(o.accepted, 100);
  EXPECT_GT(o.refused, 1000);
}

TEST(Mutation, TuningFilesAreReadOrRefused) {
  Tuning tuning("a card (9.0), a library 1.2.3");
  for (const std::int64_t size : {8, 16}) {
    const ConvSpec spec{.in = {1, size, size, 3}, .filters = 16, .size_y = 3, .size_x = 3};
    tuning.put(conv_use(ConvDirection::forward, spec, {}), {"1 fma", .25});
  }
  const Outcome o = try_damaged(tuning.lines(), 3000, [](const std::string& input) {
    for (const Tuning& t : parse_tunings(input, "x.tuning")) parse_tunings(t.lines(), "again");
  });
  EXPECT_GT(o.accepted, 20);
  EXPECT_GT(o.refused, 1000);
}

TEST(Mutation, LabelsAreReadOrReported) {
  int reported = 0;
  try_damaged("0 .5 .5 .25 .25\n1 0.1 0.2 0.05 0.1\n2 .9 .9 .1 .1\n", 20000,
              [&](const std::string& text) {
                const Labels labels = parse_labels(text, 3, [&](int line, const std::string& why) {
                  EXPECT_GT(line, 0);
                  EXPECT_FALSE(why.empty());
                  ++reported;
                });
                for (const Truth& t : labels.truths) {
                  EXPECT_TRUE(t.class_id >= 0 && t.class_id < 3);
                  EXPECT_TRUE(t.box.w > 0 && t.box.h > 0 && t.box.w <= 1 && t.box.h <= 1);
                  EXPECT_TRUE(t.box.x >= 0 && t.box.x <= 1 && t.box.y >= 0 && t.box.y <= 1);
                }
              });
  EXPECT_GT(reported, 1000);
}

class MutationOfFiles : public testing_files::InFolder {};

TEST_F(MutationOfFiles, WeightsAreReadOrRefused) {
  std::istringstream in(
      "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=2\n"
      "size=3\npad=1\nactivation=leaky\n[convolutional]\nfilters=1\nsize=1\nactivation=linear\n");
  Network net(parse_cfg(in, "x.cfg"), {});
  net.initialise();
  const std::string sound = weights_bytes(net, 64);
  const Outcome o = try_damaged(
      sound, 1500, [&](const std::string& bytes) { load_weights(file("x.weights", bytes), net); });
  EXPECT_GT(o.refused, 500);
}

TEST(Mutation, PicturesAreDecodedOrRefused) {
  Image image(24, 17, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(random_bits(3, 1, i));
  for (const char* ending : {".jpg", ".png", ".bmp"})
    try_damaged(encode(image, ending), 700, [](const std::string& bytes) {
      is_complete(bytes);
      EXPECT_TRUE(exif_orientation(bytes) >= 1 && exif_orientation(bytes) <= 8);
      const Image decoded = decode_image(bytes, "x");
      EXPECT_EQ(decoded.pixels.size(),
                static_cast<std::size_t>(decoded.width * decoded.height * decoded.channels));
    });
}

}  // namespace
}  // namespace darknet
