// Ranks that are threads of one process (thread_ranks.h) share the images of a list.
#include "eval/image_share.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "thread_ranks.h"

namespace darknet {
namespace {

ImagePaths list_of(std::size_t images) {
  ImagePaths list;
  for (std::size_t i = 0; i < images; ++i) list.push_back(cat("image", i, ".jpg"));
  return list;
}

struct Shared {
  std::vector<std::string> handed_over;  // in rank 0
  std::vector<bool> complete;            // by rank
};

// Each rank gives the names of its images. Rank `stopping` stops before its image number `at`.
Shared share(std::size_t images, std::int64_t batch, std::int64_t ranks, std::int64_t stopping = -1,
             std::size_t at = 0) {
  Shared to;
  to.complete.resize(static_cast<std::size_t>(ranks));
  std::vector<std::uint8_t> complete(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](Ranks& own) {
    const ImageShare share(own, images, batch);
    const ImagePaths mine = share.mine(list_of(images));
    std::size_t next = 0;
    complete[static_cast<std::size_t>(own.rank())] = share_results(
        share, [&] { return own.rank() == stopping && next >= at; },
        [&](std::size_t place, std::string_view bytes) {
          EXPECT_EQ(own.rank(), 0);
          EXPECT_EQ(place, to.handed_over.size());
          to.handed_over.emplace_back(bytes);
        },
        [&](const auto& stopped, const auto& give) {
          for (; next < mine.size() && !stopped(); ++next)
            give(std::string(next % 3, '.') + mine[next].string());
        });
  });
  to.complete.assign(complete.begin(), complete.end());
  return to;
}

std::string name_in(const std::string& result) { return result.substr(result.find('i')); }

TEST(ImageShare, IsHandedOverInTheOrderOfTheList) {
  for (const std::size_t images : {0, 1, 3, 4, 5, 16, 33, 100, 131})
    for (const std::int64_t batch : {1, 4})
      for (const std::int64_t ranks : {1, 2, 3, 5}) {
        const Shared result = share(images, batch, ranks);
        ASSERT_EQ(result.handed_over.size(), images) << batch << ' ' << ranks;
        for (std::size_t i = 0; i < images; ++i)
          EXPECT_EQ(name_in(result.handed_over[i]), cat("image", i, ".jpg"));
        for (const bool complete : result.complete) EXPECT_TRUE(complete);
      }
}

TEST(ImageShare, GivesEachRankWholeBatches) {
  run_ranks(3, [](Ranks& own) {
    const ImageShare share(own, 26, 4);
    const auto first = static_cast<std::size_t>(own.rank()) * 4;
    EXPECT_EQ(share.place(0), first);
    EXPECT_EQ(share.place(3), first + 3);
    EXPECT_EQ(share.place(4), first + 12);
    EXPECT_EQ(share.mine(list_of(26)).size(), own.rank() == 0 ? 10U : 8U);
  });
}

TEST(ImageShare, EndsInEveryRankWhereOneStops) {
  for (const std::int64_t stopping : {0, 1, 2}) {
    const Shared result = share(200, 4, 3, stopping, 22);
    for (const bool complete : result.complete) EXPECT_FALSE(complete) << stopping;
    // Whole up to the first image that the stopping rank has not worked on.
    EXPECT_GE(result.handed_over.size(), 48U);
    EXPECT_LT(result.handed_over.size(), 96U);
    for (std::size_t i = 0; i < result.handed_over.size(); ++i)
      EXPECT_EQ(name_in(result.handed_over[i]), cat("image", i, ".jpg"));
  }
}

}  // namespace
}  // namespace darknet
