// Ranks that are threads of one process (thread_ranks.h) share the images of a list.
#include "eval/image_share.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "core/together.h"
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
    const ImagePaths list = list_of(images);
    const ImageShare share(own, list, batch);
    const ImagePaths mine = share.mine(list);
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
    const ImagePaths list = list_of(26);
    const ImageShare share(own, list, 4);
    const auto first = static_cast<std::size_t>(own.rank()) * 4;
    EXPECT_EQ(share.place(0), first);
    EXPECT_EQ(share.place(3), first + 3);
    EXPECT_EQ(share.place(4), first + 12);
    EXPECT_EQ(share.mine(list).size(), own.rank() == 0 ? 10U : 8U);
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

// What every rank throws; "" where one throws nothing.
std::vector<std::string> errors_of(const std::function<void(Ranks&)>& work) {
  std::vector<std::string> errors(3);
  run_ranks(3, [&](Ranks& own) {
    try {
      work(own);
    } catch (const CommonFailure& e) {
      errors[static_cast<std::size_t>(own.rank())] = e.what();
    }
  });
  return errors;
}

TEST(ImageShare, ThrowsInEveryRankWhatOneThrows) {
  for (const std::int64_t failing : {0, 2}) {
    const auto errors = errors_of([&](Ranks& own) {
      const ImageShare share(own, list_of(100), 4);
      share_results(
          share, nullptr, [](std::size_t, std::string_view) {},
          [&](const auto& stopped, const auto& give) {
            for (std::size_t i = 0; share.place(i) < share.images() && !stopped(); ++i) {
              if (own.rank() == failing && i == 5) fail("image 5 is damaged");
              give("");
            }
          });
    });
    for (const std::string& error : errors)
      EXPECT_NE(error.find("image 5 is damaged"), std::string::npos) << error;
  }
  // By rank 0 alone, which writes the results.
  for (const std::string& error : errors_of([](Ranks& own) {
         const ImageShare share(own, list_of(100), 4);
         share_results(
             share, nullptr, [](std::size_t, std::string_view) { fail("the disk is full"); },
             [&](const auto&, const auto& give) {
               for (std::size_t i = 0; share.place(i) < share.images(); ++i) give("");
             });
       }))
    EXPECT_EQ(error, "the disk is full");
}

TEST(ImageShare, NeedsEqualInputs) {
  const auto work = [](Ranks& own, const ImagePaths& list, float threshold) {
    ImageShare share(own, list, 4);
    share.add_input<float>({&threshold, 1});
    share_results(
        share, nullptr, [](std::size_t, std::string_view) {},
        [](const auto&, const auto&) { ADD_FAILURE() << "it has begun"; });
  };
  for (const std::string& error :
       errors_of([&](Ranks& own) { work(own, list_of(own.rank() == 1 ? 10 : 11), .5f); }))
    EXPECT_NE(error.find("differ from those of rank 0"), std::string::npos) << error;
  for (const std::string& error :
       errors_of([&](Ranks& own) { work(own, list_of(11), own.rank() == 2 ? .4f : .5f); }))
    EXPECT_NE(error.find("differ from those of rank 0"), std::string::npos) << error;
}

}  // namespace
}  // namespace darknet
