// Lists of images and ground truths in two blocks of memory.
#include "core/packed_lists.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_files {
namespace {
namespace fs = std::filesystem;

std::vector<int> copy_of(std::span<const int> list) { return {list.begin(), list.end()}; }

TEST(PackedLists, HoldListsOfAnyLengthInOrder) {
  PackedLists<int> lists;
  EXPECT_TRUE(lists.empty());
  EXPECT_EQ(lists.begin(), lists.end());
  lists.push_back(std::vector{1, 2, 3});
  lists.push_back({});
  lists.push_back(std::vector{4});
  ASSERT_EQ(lists.size(), 3u);
  EXPECT_EQ(copy_of(lists[0]), (std::vector{1, 2, 3}));
  EXPECT_EQ(copy_of(lists[1]), std::vector<int>{});
  EXPECT_EQ(copy_of(lists[2]), std::vector{4});
  std::vector<std::size_t> lengths;
  for (const std::span<const int> list : lists) lengths.push_back(list.size());
  EXPECT_EQ(lengths, (std::vector<std::size_t>{3, 0, 1}));
}

TEST(PackedLists, CopiesShareTheirMemoryUntilOneGrows) {
  PackedLists<int> first;
  first.push_back(std::vector{1, 2});
  PackedLists<int> second = first;
  EXPECT_EQ(second[0].data(), first[0].data());
  second.push_back(std::vector{3});
  EXPECT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(copy_of(second[0]), (std::vector{1, 2}));
  EXPECT_NE(second[0].data(), first[0].data());
}

struct Counted {  // counts how often values are copied
  explicit Counted(int v) : value(v) {}
  Counted(const Counted& other) : value(other.value) { ++copies; }
  Counted& operator=(const Counted& other) = default;
  int value;
  inline static int copies = 0;
};

// Another thread may still read the copy, or may have been reading it a moment ago: the next list
// goes to new memory. (Whose address may be that of the old one.)
TEST(PackedLists, WhatWasCopiedIsNeverChanged) {
  const std::vector<Counted> two(2, Counted(1)), one(1, Counted(3));
  PackedLists<Counted> lists;
  lists.reserve(4, 8);
  lists.push_back(two);
  const auto copied = [&] {
    Counted::copies = 0;
    lists.push_back(one);
    return Counted::copies;
  };
  EXPECT_EQ(copied(), 1);  // in place
  std::make_unique<PackedLists<Counted>>(lists).reset();
  EXPECT_GE(copied(), 4);  // the three that were there, and the new one
  PackedLists<Counted> moved = std::move(lists);
  moved.push_back({});
  EXPECT_EQ(moved.size(), 4u);
  EXPECT_EQ(moved[2][0].value, 3);
}

// For the thread sanitizer: the end of a copy in another thread orders nothing.
TEST(PackedLists, ACopyMayEndInAnotherThread) {
  PackedLists<int> lists;
  lists.reserve(3, 8);
  lists.push_back(std::vector{1, 2});
  std::atomic<int> sum = 0;
  std::thread reader([&sum, copy = std::make_unique<PackedLists<int>>(lists)]() mutable {
    const int found = (*copy)[0][0] + (*copy)[0][1];
    copy.reset();
    sum.store(found, std::memory_order_relaxed);
  });
  while (sum.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
  lists.push_back(std::vector{3});
  reader.join();
  EXPECT_EQ(sum, 3);
  EXPECT_EQ(lists.size(), 2u);
}

TEST(ImagePaths, AreWhatWasPutIn) {
  const std::vector<fs::path> paths{"a/b.jpg", "", "/with space/c d.png"};
  const ImagePaths images(paths);
  ASSERT_EQ(images.size(), 3u);
  EXPECT_TRUE(std::equal(paths.begin(), paths.end(), images.begin(), images.end()));
  EXPECT_EQ(images[2].filename(), "c d.png");
  EXPECT_EQ(images.text(0), "a/b.jpg");
}

std::size_t allocated() {
  const struct mallinfo2 now = ::mallinfo2();
  return now.uordblks + now.hblkhd;
}

// Five folders deep and three objects each, as large sets are.
class ListMemory : public InFolder {};
TEST_F(ListMemory, IsSmallWithGroundTruths) {
  constexpr std::size_t kImages = 5000;
  const fs::path images = folder_ / "a/longer/name/of/images";
  fs::create_directories(images.parent_path() / "labels");
  std::ofstream list(folder_ / "list.txt");
  for (std::size_t i = 0; i < kImages; ++i) {
    const std::string name = cat("photograph_", 100000 + i);
    list << (images / (name + ".jpg")).string() << '\n';
    std::ofstream(images.parent_path() / "labels" / (name + ".txt"))
        << "0 .5 .5 .1 .1\n1 .25 .5 .1 .1\n0 .5 .75 .1 .1\n";
  }
  list.close();
  const std::size_t before = allocated();
  if (before == 0) GTEST_SKIP() << "this allocator does not count";
  const LabelledImages all = read_all_labels(read_image_list(folder_ / "list.txt"), 2);
  const LabelledImages copy = all;
  const std::size_t bytes = allocated() - before;
  ASSERT_EQ(copy.truths.size(), kImages);
  EXPECT_EQ(all.objects, static_cast<std::int64_t>(3 * kImages));
  EXPECT_LT(bytes / kImages, 200u);
}

}  // namespace
}  // namespace darknet::testing_files
