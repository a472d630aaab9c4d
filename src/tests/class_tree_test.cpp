// Class trees: their files, what a detection is of, labels of other classes, and the gradient of
// one step of [region] against Darknet's rules in float64.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "cfg/class_tree.h"
#include "cfg/key_files.h"
#include "cfg/parse.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log_capture.h"
#include "detect/overlap.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "tests/cli_harness.h"
#include "tests/head_harness.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace darknet::testing_layers {
namespace {
namespace fs = std::filesystem;

// animal (0): dog (2): terrier (5), spaniel (6); cat (3). vehicle (1): car (4).
const fs::path kTree = test::test_data() / "classes.tree", kMap = test::test_data() / "classes.map";
constexpr int kNodes = 7, kEntries = 5 + kNodes;
constexpr int kParents[kNodes] = {-1, -1, 0, 0, 1, 2, 2};

TEST(ClassTree, IsReadAsGroupsOfSiblings) {
  const ClassTree tree = read_class_tree(kTree);
  EXPECT_EQ(tree.groups, (std::vector<std::int32_t>{0, 2, 4, 5, 7}));
  ASSERT_EQ(tree.nodes.size(), 7u);
  for (std::size_t n = 0; n < 7; ++n) EXPECT_EQ(tree.nodes[n].parent, kParents[n]);
  EXPECT_EQ(tree.nodes[3].siblings, 2);
  EXPECT_EQ(tree.nodes[3].siblings_end, 4);
  EXPECT_EQ(tree.nodes[2].children, 5);
  EXPECT_EQ(tree.nodes[2].children_end, 7);
  EXPECT_TRUE(tree.nodes[4].leaf());
  EXPECT_FALSE(tree.nodes[1].leaf());
}

class ClassTreeFiles : public testing_files::InFolder {
 protected:
  // What is said of this text, without the file's name.
  std::string error_in(const std::string& text, const std::function<void(const fs::path&)>& read) {
    const fs::path path = file("x", text);
    const std::string error = testing_files::error_of([&] { read(path); });
    return error.empty() ? "" : error.substr(path.string().size());
  }
  std::string tree_error(const std::string& text) {
    return error_in(text, [](const fs::path& f) { read_class_tree(f); });
  }
};

TEST_F(ClassTreeFiles, SayWhatIsWrong) {
  EXPECT_EQ(tree_error("a -1\nb 0\n\n"), "");
  EXPECT_EQ(tree_error("a -1\nb\n"),
            ":2: expected a name and the number of its parent, or -1, got 'b'");
  EXPECT_EQ(tree_error("a -1\nb 0x\n"),
            ":2: expected a name and the number of its parent, or -1, got '0x'");
  EXPECT_EQ(tree_error("a -1\nb 1\n"),
            ":2: the parent 1 is none of the 1 node before it, which count from 0; -1 means none");
  EXPECT_EQ(tree_error("a -1\nb 0\nc -1\n"),
            ":3: other nodes are between this one and its siblings, of parent -1: they belong "
            "together");
  EXPECT_EQ(tree_error("a -1\nb -1\nc 0\nd 1\ne 0\n"),
            ":5: other nodes are between this one and its siblings, of parent 0: they belong "
            "together");
  EXPECT_EQ(tree_error("a -1\n\nb 0\n"), ":2: a blank line among the others");
  EXPECT_EQ(tree_error(""), ": there is nothing in this file");
  EXPECT_EQ(error_in("0\n7\n", [](const fs::path& f) { read_class_map(f, 7); }),
            ":2: there is no class 7 among 7, counted from 0");
}

TEST_F(ClassTreeFiles, AreFoundFromTheFolderAboveTheCfg) {
  file("data/x.tree", "a -1\n");
  file("cfg/y.tree", "a -1\n");
  const Section section("region", {(folder_ / "cfg/net.cfg").string(), 3});
  EXPECT_EQ(file_of_key(section, "tree", "data/x.tree"), folder_ / "data/x.tree");
  EXPECT_EQ(file_of_key(section, "tree", "data/y.tree"), folder_ / "cfg/y.tree");
  EXPECT_THROW(file_of_key(section, "tree", "data/z.tree"), Error);
}

TEST(ClassTree, TheDeepestProbableNodeIsFound) {
  const ClassTree tree = read_class_tree(kTree);
  std::vector<float> p = {.9f, .1f, .8f, .2f, 1, .6f, .4f};
  multiply_down(tree, p);
  EXPECT_FLOAT_EQ(p[5], .9f * .8f * .6f);
  EXPECT_FLOAT_EQ(p[4], .1f);
  const auto found = [&](float least) { return deepest_node(tree, p, least); };
  EXPECT_EQ(found(.4f).node, 5);
  EXPECT_FLOAT_EQ(found(.4f).probability, .9f * .8f * .6f);
  EXPECT_EQ(found(.5f).node, 2);
  EXPECT_FLOAT_EQ(found(.5f).probability, .72f);
  EXPECT_EQ(found(.8f).node, 0);
  EXPECT_EQ(found(.95f).node, 0);  // at least one of the top
}

LayerSample sample_of_tree(const std::string& keys, const std::vector<Truth>& truths) {
  return sample_of("region",
                   cat("classes=7\nnum=2\nanchors=1,1,2,1\nthresh=.6\nbias_match=1\ntree=",
                       kTree.string(), '\n', keys),
                   2 * kEntries, truths);
}

std::vector<InputDetection> decoded(const LayerSample& s, std::int64_t labels) {
  Trial t(s, Mode::inference);
  std::vector<float> out(to_size(t.needs.output.size()));
  const std::vector<float> entries = {.5f, .5f, 0, 0, .8f, .9f, .1f, .8f, .2f, 1, .6f, .4f};
  std::copy(entries.begin(), entries.end(), out.begin() + (2 * kCells + 1) * 2 * kEntries);
  Head& head = *t.layer->head();
  EXPECT_EQ(head.find_labels(labels), labels == 3);
  EXPECT_EQ(head.classes_found(), labels == 3 ? 3 : 7);
  EXPECT_EQ(head.finds_its_labels(), labels == 3 || s.keys.find("map=") == std::string::npos);
  std::vector<InputDetection> found;
  head.decode({out.data(), t.needs.output, 2 * kEntries}, {1, 32, 32, 3}, .1f, found);
  return found;
}

TEST(Region, OfATreeADetectionIsOfItsDeepestProbableClass) {
  const auto by_default = decoded(sample_of_tree("", {}), 7);
  ASSERT_EQ(by_default.size(), 1u);
  EXPECT_EQ(by_default[0].class_id, 2);
  EXPECT_FLOAT_EQ(by_default[0].objectness, .8f);
  EXPECT_FLOAT_EQ(by_default[0].probability, .8f * .72f);
  const auto deeper = decoded(sample_of_tree("hier=.4\n", {}), 7);
  ASSERT_EQ(deeper.size(), 1u);
  EXPECT_EQ(deeper[0].class_id, 5);
}

TEST(Region, OfMappedLabelsDetectionsAreOfThese) {
  const LayerSample s = sample_of_tree(cat("map=", kMap.string(), '\n'), {});
  EXPECT_EQ(decoded(s, 7).size(), 1u);
  const auto found = decoded(s, 3);  // terrier .432, cat .18, vehicle .1
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].class_id, 0);
  EXPECT_FLOAT_EQ(found[0].probability, .8f * .9f * .8f * .6f);
  EXPECT_EQ(found[1].class_id, 1);
  EXPECT_FLOAT_EQ(found[1].probability, .8f * .9f * .2f);
}

struct TreeRules {
  std::string keys;
  bool focal = false;  // of the objectness
  std::vector<int> map = {0, 1, 2};
};

// Darknet's delta, the negative gradient, of one image on the grid, with the weights of the test.
std::vector<double> tree_delta(const TreeRules& r, const std::vector<float>& in,
                               const std::vector<Truth>& truths) {
  using Box64 = BasicBox<double>;
  constexpr double kWidths[] = {1, 2};
  std::vector<double> delta(in.size(), 0.);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto learn_objectness = [&](std::size_t first, double weight, bool object) {
    const double p = sigmoid(in[first + 4]);
    delta[first + 4] =
        weight * (r.focal ? focal_delta(p, object) : ((object ? 1 : 0) - p) * p * (1 - p));
  };
  for (std::size_t i = 0; i < kCells * kCells * 2; ++i) {
    const std::size_t first = i * kEntries, x = i / 2 % kCells, y = i / 2 / kCells;
    const Box64 box{(static_cast<double>(x) + sigmoid(in[first])) / kCells,
                    (static_cast<double>(y) + sigmoid(in[first + 1])) / kCells,
                    std::exp(in[first + 2]) * kWidths[i % 2] / kCells,
                    std::exp(in[first + 3]) / kCells};
    double best = 0;
    for (const Truth& t : truths)
      best = std::max(best, iou(box, Box64{t.box.x, t.box.y, t.box.w, t.box.h}));
    if (!(best > .6)) learn_objectness(first, .5, false);
  }
  for (const Truth& t : truths) {
    const double x = t.box.x * kCells, y = t.box.y * kCells;
    double fits[2];
    for (int n = 0; n < 2; ++n)
      fits[n] = iou(Box64{0, 0, kWidths[n] / kCells, 1. / kCells}, Box64{0, 0, t.box.w, t.box.h});
    const std::size_t n = fits[1] > fits[0] ? 1 : 0;
    const std::size_t first =
        (static_cast<std::size_t>(std::floor(y) * kCells + std::floor(x)) * 2 + n) * kEntries;
    learn_objectness(first, 5, true);
    const double target[] = {x - std::floor(x), y - std::floor(y),
                             std::log(t.box.w * kCells / kWidths[n]), std::log(t.box.h * kCells)};
    for (std::size_t e = 0; e < 4; ++e) {
      const double o = e < 2 ? sigmoid(in[first + e]) : in[first + e];
      delta[first + e] = 1.5 * (target[e] - o) * (e < 2 ? o * (1 - o) : 1);
    }
    for (int node = r.map[to_size(t.class_id)]; node >= 0; node = kParents[node]) {
      double sum = 0;
      for (int k = 0; k < kNodes; ++k)
        if (kParents[k] == kParents[node]) sum += std::exp(in[first + 5 + to_size(k)]);
      for (int k = 0; k < kNodes; ++k)
        if (kParents[k] == kParents[node])
          delta[first + 5 + to_size(k)] =
              .9 * ((k == node ? 1 : 0) - std::exp(in[first + 5 + to_size(k)]) / sum);
    }
  }
  return delta;
}

class TreeStep : public testing::TestWithParam<TreeRules> {};

TEST_P(TreeStep, EqualsDarknetsRulesInFloat64) {
  const std::vector<Truth> truths = {
      {{.30f, .27f, .45f, .26f}, 1}, {{.60f, .45f, .20f, .28f}, 2}, {{.85f, .92f, .28f, .14f}, 0}};
  const Trial t =
      passed(sample_of_tree("softmax=1\nobject_scale=5\nnoobject_scale=.5\n"
                            "coord_scale=1.5\nclass_scale=.9\n" +
                                GetParam().keys,
                            truths));
  const std::vector<float> gradient = t.in_gradient[0].to_host({});
  const std::vector<double> delta = tree_delta(GetParam(), t.host_inputs()[0].v, truths);
  ASSERT_EQ(gradient.size(), delta.size());
  int classes = 0;
  for (std::size_t i = 0; i < delta.size(); ++i) {
    ASSERT_NEAR(gradient[i], -delta[i], 1e-5 * std::max(1., std::fabs(delta[i])))
        << "entry " << i % kEntries << " of anchor " << i / kEntries;
    classes += i % kEntries > 4 && delta[i] != 0;
  }
  EXPECT_GE(classes, 3 * 2);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, TreeStep,
    testing::Values(TreeRules{}, TreeRules{.keys = cat("obj_loss=focal\nmap=", kMap.string(), '\n'),
                                           .focal = true,
                                           .map = {5, 3, 1}}));

TEST(Region, OfATreeAnotherTruthTakesAllOfItsAnchor) {
  const Truth first{kWide.box, 6}, second{kWide.box, 4};
  const Trial one = passed(sample_of_tree("", {second})),
              two = passed(sample_of_tree("", {first, second}));
  EXPECT_EQ(one.in_gradient[0].to_host({}), two.in_gradient[0].to_host({}));
}

TEST(Region, OfATreeSaysWhatDoesNotGoTogether) {
  const auto error = [](const std::string& keys) -> std::string {
    try {
      layer_of(cat("[region]\nanchors=1,1\ntree=", kTree.string(), '\n', keys), 3);
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(error("classes=7\n"), "");
  EXPECT_EQ(
      error("classes=9\n"),
      "net.cfg:3: [region] tree: the tree has 7 classes, classes=9; give both the same number "
      "(before the head, filters= follows from it)");
  EXPECT_EQ(error("classes=7\ncls_loss=focal\n"),
            "net.cfg:5: [region] cls_loss: a tree has a softmax for each group of siblings: take "
            "cls_loss=softmax or darknet_focal");
}

// What is said while `act` runs, each message on a line.
std::string messages(const std::function<void()>& act) {
  std::string all;
  const log::Capture::Take take = [&](log::Level, const std::string& text) { all += text + '\n'; };
  const log::Capture capture(take);
  act();
  return all;
}

TEST_F(ClassTreeFiles, WarnOfNamesThatStandTwice) {
  const fs::path tree = file("two.tree", "a -1\nb -1\nb 0\na 1\n");
  const std::string said = messages([&] { read_class_tree(tree); });
  EXPECT_NE(said.find("two.tree:3: 'b' is on line 2 too"), std::string::npos) << said;
  EXPECT_EQ(said.find(":4:"), std::string::npos) << said;
  EXPECT_EQ(messages([] { read_class_tree(kTree); }), "");
}

TEST(ClassTree, NamesOfOtherClassesAreAConflict) {
  const std::vector<std::string> tree = read_class_tree(kTree).names;
  EXPECT_EQ(tree, (std::vector<std::string>{"animal", "vehicle", "dog", "cat", "car", "terrier",
                                            "spaniel"}));
  EXPECT_EQ(name_conflict(tree, tree), "");
  const std::vector<std::string> swapped{"animal", "vehicle", "cat",    "dog",
                                         "car",    "terrier", "spaniel"};
  EXPECT_EQ(name_conflict(tree, swapped),
            "the tree calls class 2 'dog', which is class 3 of the names; class 2 is 'cat' there");
  const std::vector<std::string> numbers{"n1", "n2", "n3", "n4", "n5", "n6", "n7"};
  EXPECT_EQ(name_conflict(tree, numbers), "");
  EXPECT_EQ(name_conflict({}, swapped), "");
}

TEST(Softmax, SaysWhichKeysHaveNoEffect) {
  const auto said = [](const std::string& keys, Mode mode = Mode::training) {
    return messages([&] { layer_of("[softmax]\n" + keys, 3, mode); });
  };
  EXPECT_EQ(said("groups=2\nspatial=0\nnoloss=1\n"), "");
  EXPECT_EQ(said("cls_loss=focal\ncls_gamma=3\n"), "");
  EXPECT_EQ(said("cls_gamma=3\n"),
            "net.cfg:2: [softmax] cls_gamma: has no effect without cls_loss=focal\n");
  EXPECT_EQ(said("noloss=1\ncls_loss=focal\n"),
            "net.cfg:3: [softmax] cls_loss: has no effect with noloss=1\n");
  const std::string tree = cat("tree=", kTree.string(), '\n');
  EXPECT_EQ(said(tree + "groups=2\nspatial=1\n"),
            "net.cfg:3: [softmax] groups: has no effect with tree=: each group of siblings has its "
            "softmax\n"
            "net.cfg:4: [softmax] spatial: has no effect with tree=: each group of siblings has "
            "its softmax\n");
}

// The program on a network of the tree whose labels are those of the three tiny classes.
class ClassTreeCommands : public test::CliTest {
 protected:
  ClassTreeCommands() {
    std::string names;
    for (int n = 0; n < kNodes; ++n) names += cat("node", n, '\n');
    work_.put("nodes.names", names);
    work_.put("nodes.data",
              "classes = 7\ntrain = train.txt\nvalid = train.txt\n"
              "names = nodes.names\nbackup = backup\n");
    const std::string whole = test::kTinyCfg;
    work_.put("x.cfg", whole.substr(0, whole.find("[convolutional]")) +
                           "[convolutional]\nfilters=12\nsize=4\nstride=8\nactivation=linear\n"
                           "[region]\nclasses=7\nnum=1\nanchors=1,1\nsoftmax=1\nobj_loss=focal\n"
                           "tree=" +
                           kTree.string() + "\nmap=" + kMap.string() + "\n");
  }
  test::CommandResult run(const std::string& command, const std::string& data,
                          std::vector<std::string> more) const {
    std::vector<std::string> all{"detector", command, data, "x.cfg", "backup/x_final.weights"};
    all.insert(all.end(), more.begin(), more.end());
    return work_.darknet(all);
  }
};

TEST_F(ClassTreeCommands, TheDataFileSaysWhichClassesAreFound) {
  const test::CommandResult trained = train({"-map"});
  ASSERT_EQ(trained.exit_code, 0) << trained.all();
  const std::string all = trained.all(), mapped = " map: a label of class 0 to 2 is trained as ";
  EXPECT_NE(all.find(mapped), all.npos) << all;
  EXPECT_EQ(all.find(mapped, all.find(mapped) + 1), all.npos) << all;
  const test::CommandResult map = run("map", "x.data", {});
  EXPECT_EQ(map.exit_code, 0) << map.all();
  EXPECT_TRUE(said(map, "green")) << map.all();
  test::expect_refused(run("map", "nodes.data", {}), "map= makes classes of labels");
  work_.put("nodes.names", "vehicle\nanimal\ndog\ncat\ncar\nterrier\nspaniel\n");
  const test::CommandResult other = run("test", "nodes.data", {"images/0.png"});
  EXPECT_TRUE(said(other, "the tree calls class 0 'animal', which is class 1 of the names"))
      << other.all();
  work_.put("nodes.names", "node0\nnode1\nnode2\nnode3\nnode4\nnode5\nnode6\n");
  const auto nodes = [&](const char* hier) {
    return run("test", "nodes.data", {"images/0.png", "-thresh", "0", "-nms", "0", "-hier", hier});
  };
  const test::CommandResult leaves = nodes("0"), tops = nodes("1");
  EXPECT_TRUE(said(leaves, "node5") || said(leaves, "node6") || said(leaves, "node3") ||
              said(leaves, "node4"))
      << leaves.all();
  EXPECT_FALSE(said(leaves, "node0:") || said(leaves, "node1:")) << leaves.all();
  EXPECT_TRUE(said(tops, "node0:") || said(tops, "node1:")) << tops.all();
}

class MovedCfg : public ClassTreeCommands {
 protected:
  MovedCfg() {
    work_.put("data/c.tree", read_file(kTree, 1 << 16));
    work_.put("data/c.map", read_file(kMap, 1 << 16));
    work_.put("cfg/x.cfg",
              test::replaced(test::replaced(work_.get("x.cfg"), kTree.string(), "data/c.tree"),
                             kMap.string(), "data/c.map"));
  }
};

TEST_F(MovedCfg, NamesTheSameFilesFromItsNewFolder) {
  std::filesystem::create_directories(work_.path("deep/er"));
  const test::CommandResult ran = work_.darknet({"cfg", "convert", "cfg/x.cfg", "deep/er/y.cfg"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(testing_files::holds(work_.get("deep/er/y.cfg"), "\ntree=../../data/c.tree\n"));
  EXPECT_TRUE(testing_files::holds(work_.get("deep/er/y.cfg"), "\nmap=../../data/c.map\n"));
  // From a working directory in which data/ is not found.
  const Network moved(read_cfg(work_.path("deep/er/y.cfg")), {});
  EXPECT_EQ(moved.size(), 2);
  // Where they are found anyway, nothing changes.
  for (const char* name : {"cfg/z.cfg", "deep/z.cfg"}) {
    ASSERT_EQ(work_.darknet({"cfg", "convert", "cfg/x.cfg", name}).exit_code, 0);
    EXPECT_EQ(work_.get(name), work_.get("cfg/x.cfg"));
  }
}

TEST_F(MovedCfg, OfFusedWeightsToo) {
  std::filesystem::create_directories(work_.path("deep/er"));
  work_.put("cfg/x.cfg", test::replaced(work_.get("cfg/x.cfg"), "filters=12\n",
                                        "filters=12\nbatch_normalize=1\n"));
  save_weights(work_.path("x.weights"), Network(read_cfg(work_.path("cfg/x.cfg")), {}), 0);
  const test::CommandResult ran = work_.darknet(
      {"weights", "fuse", "cfg/x.cfg", "x.weights", "deep/er/y.cfg", "deep/er/y.weights"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_EQ(Network(read_cfg(work_.path("deep/er/y.cfg")), {}).size(), 2);
}

TEST_F(MovedCfg, ItsFilesAreNotReplaced) {
  save_weights(work_.path("x.weights"), Network(read_cfg(work_.path("cfg/x.cfg")), {}), 0);
  const std::string tree = work_.get("data/c.tree");
  for (const char* file : {"data/c.tree", "data/c.map"})
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"cfg", "convert", "cfg/x.cfg", file, "-force"},
          {"weights", "reset", "cfg/x.cfg", "x.weights", file, "-force"}})
      test::expect_refused(work_.darknet(words),
                           cat(file, ": would replace the file of [region] "));
  EXPECT_EQ(work_.get("data/c.tree"), tree);
}

TEST(Softmax, OfATreeInfersTheProbabilitiesOfLeaves) {
  Trial t({.type = "softmax", .keys = cat("tree=", kTree.string(), '\n'), .in = {{2, 1, 1, 7}}},
          Mode::inference);
  t.forward();
  const std::vector<float> x = t.host_inputs()[0].v, out = t.out.to_host({});
  for (std::size_t image = 0; image < 2; ++image) {
    const auto given_parent = [&](std::size_t a, std::size_t b) {
      return 1 / (1 + std::exp(x[image * 7 + b] - x[image * 7 + a]));
    };
    const double dog = given_parent(0, 1) * given_parent(2, 3);
    const double expected[] = {0,
                               0,
                               0,
                               given_parent(0, 1) * given_parent(3, 2),
                               given_parent(1, 0),
                               dog * given_parent(5, 6),
                               dog * given_parent(6, 5)};
    for (std::size_t k = 0; k < 7; ++k) EXPECT_NEAR(out[image * 7 + k], expected[k], 1e-6) << k;
  }
}

}  // namespace
}  // namespace darknet::testing_layers
