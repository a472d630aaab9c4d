// What the ranks of a training exchange about their data: whether their inputs are equal, and the
// images that cannot be read. Ranks are threads here.
#include "train/equal_inputs.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cfg/parse.h"
#include "core/together.h"
#include "tests/thread_ranks.h"
#include "train/unreadable_images.h"

namespace darknet {
namespace {

LabelledImages labelled() {
  LabelledImages all;
  all.images = ImagePaths{"a.png", "b.png", "c.png"};
  all.truths = GroundTruths{{{{.5f, .5f, .2f, .1f}, 1}}, {}, {{{.4f, .5f, .2f, .1f}, 0}}};
  all.objects = 2;
  return all;
}

std::vector<Section> cfg_with(const char* keys) {
  std::istringstream in(cat("[net]\n", keys, "\n[softmax]\n"));
  return parse_cfg(in, "x.cfg");
}

// What all ranks say where the last of three has other inputs than the others; "": they are equal.
std::string refusal(const std::vector<RankInput>& others, const std::vector<RankInput>& last) {
  std::vector<std::string> said(3);
  run_ranks(3, [&](Ranks& ranks) {
    try {
      require_equal(ranks, ranks.rank() == 2 ? last : others);
    } catch (const CommonFailure& e) {
      said[static_cast<std::size_t>(ranks.rank())] = e.what();
    }
  });
  EXPECT_EQ(said[1], said[0]);
  EXPECT_EQ(said[2], said[0]);
  return said[0];
}

TEST(EqualInputs, AreNamedWhereTheyDiffer) {
  const std::vector<RankInput> all = inputs_of_list("train", labelled());
  EXPECT_EQ(refusal(all, all), "");
  LabelledImages fewer = labelled();
  fewer.images = ImagePaths{"a.png", "b.png"};
  EXPECT_EQ(
      refusal(all, inputs_of_list("train", fewer)),
      "rank 2 on this host: the number of images of train= is 2, in rank 0 3; every rank needs "
      "the same list of train=, in the same order and with the same paths");
  LabelledImages moved = labelled();
  moved.images = ImagePaths{"b.png", "a.png", "c.png"};
  EXPECT_NE(refusal(all, inputs_of_list("train", moved)).find("checksum of the paths of train="),
            std::string::npos);
  LabelledImages relabelled = labelled();
  relabelled.truths = GroundTruths{{{{.5f, .5f, .2f, .1f}, 1}}, {{{.4f, .5f, .2f, .1f}, 0}}, {}};
  EXPECT_NE(refusal(all, inputs_of_list("train", relabelled)).find("checksum of the labels"),
            std::string::npos);
}

TEST(EqualInputs, AreThoseOfCfgAndFlagsToo) {
  const RankInput cfg = input_of_cfg(cfg_with("batch=2\nmomentum=.9"));
  EXPECT_EQ(refusal({cfg}, {input_of_cfg(cfg_with("# a comment\nbatch = 2\nmomentum=.9"))}), "");
  std::vector<Section> overridden = cfg_with("batch=2\nmomentum=.9");
  const std::vector<std::string> set{"net.0.momentum=.8"};
  apply_overrides(overridden, set);
  EXPECT_NE(refusal({cfg}, {input_of_cfg(overridden)}).find("checksum of the cfg"),
            std::string::npos);
  EXPECT_EQ(refusal({cfg, input_of_flag("-map", "off")},
                    {cfg, input_of_flag("-map", "on"), input_of_flag("more", "1")}),
            "rank 2 on this host: -map is on, in rank 0 off; start every rank with the same");
}

TEST(UnreadableImages, CountOnceWhoeverMetThem) {
  run_ranks(3, [](Ranks& ranks) {
    UnreadableImages images;
    const auto add = [&](const std::vector<std::vector<std::int64_t>>& met) {
      return images.add(ranks, met[static_cast<std::size_t>(ranks.rank())]);
    };
    EXPECT_EQ(add({{}, {}, {}}), 0);
    EXPECT_EQ(add({{7}, {}, {7, 3}}), 2);
    EXPECT_EQ(add({{}, {7}, {}}), 2);
    EXPECT_EQ(add({{}, {}, {}}), 2);
    EXPECT_EQ(add({{3, 1}, {1}, {0}}), 4);
  });
  UnreadableImages alone;
  EXPECT_EQ(alone.add(single_rank(), std::vector<std::int64_t>{4, 4, 2}), 2);
}

}  // namespace
}  // namespace darknet
