// What a sweep tries: lists, files and searches of variants, the names of those, and the cfg text
// that they make.
#include "train/sweep_plan.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/shell.h"
#include "losses/key_use.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {

using testing_files::error_of;
using testing_files::holds;

std::vector<Section> cfg_of(const std::string& text) {
  std::istringstream in(text);
  return parse_cfg(in, "x.cfg");
}

const SweptCfg& one_head() {
  static const SweptCfg cfg{cfg_of("[net]\nwidth=32\n[yolo]\n"), {"ce"}};
  return cfg;
}

std::vector<std::string> names(const std::vector<PlannedVariant>& variants) {
  std::vector<std::string> all;
  for (const PlannedVariant& v : variants) all.push_back(v.name);
  return all;
}
using Names = std::vector<std::string>;

std::vector<PlannedVariant> varied(std::vector<std::string> vary,
                                   const SweptCfg& cfg = one_head()) {
  return plan_variants({.variants = {}, .file = {}, .vary = std::move(vary), .baseline = {}}, cfg);
}

TEST(Variant, KeysWithoutASectionAreOfEveryHead) {
  const auto cfg = cfg_of("[net]\nwidth=32\n[region]\n[yolo]\n[yolo]\n");
  const ComparedVariant variant = parse_variant("a-1: obj_loss=focal net.0.batch=2", cfg);
  EXPECT_EQ(variant.name, "a-1");
  EXPECT_EQ(variant.overrides,
            (Names{"region.*.obj_loss=focal", "yolo.*.obj_loss=focal", "net.0.batch=2"}));
  EXPECT_TRUE(parse_variant("plain", cfg).overrides.empty());
}

TEST(Variant, UnsoundOnesAreRefused) {
  const auto cfg = cfg_of("[net]\n[yolo]\n");
  for (const char* text : {"", "../x: a=1", "a b: c=1", "a: obj_loss", "a: =1", ".hidden"})
    EXPECT_THROW(parse_variant(text, cfg), Error) << text;
  EXPECT_THROW(parse_variant("a: obj_loss=ce", cfg_of("[net]\n[convolutional]\n")), Error);
}

TEST(SweepPlan, AKeyThatALossDoesNotHaveIsLeftOut) {
  const auto plan = varied({"yolo.*.obj_loss=ce,focal", "yolo.*.obj_gamma=.5,1,2"});
  EXPECT_EQ(names(plan), (Names{"ce", "focal-gamma.5", "focal-gamma1", "focal-gamma2"}));
  EXPECT_EQ(plan[0].overrides, (Names{"yolo.*.obj_loss=ce"}));
  EXPECT_EQ(plan[1].overrides, (Names{"yolo.*.obj_loss=focal", "yolo.*.obj_gamma=.5"}));
}

TEST(SweepPlan, TheLossMayBeTheCfgsOrTheHeadsOwn) {
  EXPECT_EQ(varied({"obj_gamma=1,2"}).size(), 1u) << "the head's own is ce";
  const SweptCfg focal{cfg_of("[net]\n[yolo]\nobj_loss=focal\n"), {"focal"}};
  EXPECT_EQ(names(varied({"obj_gamma=1,2"}, focal)), (Names{"gamma1", "gamma2"}));
  // It counts for the section that has it: the second head's is ce.
  const SweptCfg two{cfg_of("[net]\n[yolo]\nobj_loss=focal\n[yolo]\n"), {"focal", "ce"}};
  EXPECT_EQ(varied({"yolo.0.obj_gamma=1,2"}, two).size(), 2u);
  EXPECT_EQ(varied({"yolo.1.obj_gamma=1,2"}, two).size(), 1u);
}

TEST(SweepPlan, KeysThatAreNoLossesStay) {
  EXPECT_EQ(names(varied({"obj_loss=ce,focal", "net.0.learning_rate=.001,.01"})),
            (Names{"ce-learning_rate.001", "ce-learning_rate.01", "focal-learning_rate.001",
                   "focal-learning_rate.01"}));
  EXPECT_EQ(names(varied({"obj_loss=ce", "obj_prior=auto,.01"})),
            (Names{"prior_auto", "prior.01"}));
  EXPECT_EQ(names(varied({"cls_loss=ce,focal", "cls_gamma=1,2"})),
            (Names{"cls_loss_ce", "cls_loss_focal-cls_gamma1", "cls_loss_focal-cls_gamma2"}));
}

TEST(SweepPlan, NamesArePlainUniqueAndNotEndless) {
  EXPECT_EQ(names(varied({"net.0.policy=a/b,a b"})), (Names{"policy_a_b", "policy_a_b-2"}));
  const SweptCfg two{cfg_of("[net]\n[yolo]\n[yolo]\n"), {"ce", "ce"}};
  EXPECT_EQ(names(varied({"yolo.0.max=1,2", "yolo.1.max=3"}, two)),
            (Names{"yolo.0.max1", "yolo.0.max2"}));
  EXPECT_EQ(names(varied({"obj_loss=ce"})), (Names{"ce"})) << "nothing differs";
  const std::string endless(200, 'x');
  for (const std::string& name : names(varied({cat("net.0.a=", endless, "1,", endless, "2")})))
    EXPECT_LE(name.size(), kMaxVariantName);
}

TEST(SweepPlan, VariantsMayBeMixedAndTheBaselineChosen) {
  SweepRequest r{.variants = {"mine: obj_loss=mse", "ce: obj_loss=ce"},
                 .file = {},
                 .vary = {},
                 .baseline = {}};
  r.vary = {"obj_loss=ce,focal"};
  EXPECT_EQ(names(plan_variants(r, one_head())), (Names{"mine", "ce", "focal"})) << "ce only once";
  r.baseline = "focal";
  EXPECT_EQ(names(plan_variants(r, one_head())), (Names{"focal", "mine", "ce"}));
  r.baseline = "fokal";
  const std::string said = error_of([&] { plan_variants(r, one_head()); });
  EXPECT_TRUE(holds(said, "'fokal'") && holds(said, "mine, ce, focal")) << said;
}

TEST(SweepPlan, SearchesAreWithinTheirRangesAndAHigherBudgetKeepsTheFirst) {
  for (const Search search : {Search::random, Search::halton}) {
    SweepRequest r{.variants = {}, .file = {}, .vary = {}, .baseline = {}};
    r.vary = {"obj_loss=ce,focal", "obj_gamma=0..4", "net.0.learning_rate=1e-4..1e-1:log",
              "max=10..12:int"};
    r.search = search, r.budget = 8;
    const auto few = plan_variants(r, one_head());
    r.budget = 20;
    const auto many = plan_variants(r, one_head());
    ASSERT_EQ(few.size(), 8u);
    ASSERT_EQ(many.size(), 20u);
    for (std::size_t i = 0; i < few.size(); ++i) EXPECT_TRUE(same_keys(few[i], many[i]));
    int low = 0;
    std::set<std::string> whole;
    for (const auto& v : many) {
      for (const std::string& o : v.overrides) {
        const Override one = parse_override(o);
        if (one.key == "max") whole.insert(one.value);
        if (one.key == "obj_gamma") {
          EXPECT_LT(std::stod(one.value), 4) << o;
        }
        if (one.key != "learning_rate") continue;
        EXPECT_GE(std::stod(one.value), 1e-4);
        EXPECT_LE(std::stod(one.value), 1e-1);
        low += std::stod(one.value) < 3.162e-3;  // the middle of the logarithms
      }
    }
    EXPECT_NEAR(low, 10, 4);
    EXPECT_EQ(whole, (std::set<std::string>{"10", "11", "12"}));
  }
}

TEST(SweepPlan, HaltonsSequenceIsTheKnownOne) {
  const std::vector<Axis> axes{parse_axis("a=0..1"), parse_axis("b=0..1")};
  const std::vector<Point> known{
      {"0.5", "0.3333"}, {"0.25", "0.6667"}, {"0.75", "0.1111"}, {"0.125", "0.4444"}};
  for (std::size_t k = 0; k < known.size(); ++k)
    EXPECT_EQ(search_point(axes, Search::halton, k), known[k]);
}

TEST(SweepPlan, ErrorsHoldTheTextThatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"obj_gamma", "'obj_gamma': expected KEY=VALUE"},
      {"obj_gamma=1,,2", "'obj_gamma=1,,2': a value is empty"},
      {"obj_gamma=", "a value is empty"},
      {"obj_gamma=1..2", "'obj_gamma': a range has no end of values"},
      {"obj_gamma=2..1", "'2..1': expected LOW..HIGH"},
      {"obj_gamma=a..1", "'a..1': expected LOW..HIGH"},
      {"obj_gamma=0..1:log", "begins above 0"},
      {"obj_gamma=0..1:lin", "':lin'"},
      {"max=1.5..3:int", "integers as its ends"},
      {"yolo.7.max=1,2", "there is 1 [yolo] section"},
      {"yolo.x.max=1,2", "'x' is neither an index nor *"}};
  for (const auto& [text, said] : cases) {
    const std::string error = error_of([&, &text = text] { varied({text}); });
    EXPECT_TRUE(holds(error, said)) << text << ": " << error;
  }
  EXPECT_TRUE(holds(error_of([] { varied({"max=1", "max=2"}); }), "varied twice"));
  std::string many = "max=1";
  for (int i = 2; i < 1100; ++i) many += cat(",", i);
  EXPECT_TRUE(holds(error_of([&] { varied({many}); }), "more than 1000"));
  SweepRequest r{.variants = {}, .file = {}, .vary = {"max=1,2"}, .baseline = {}};
  r.search = Search::random;
  EXPECT_TRUE(holds(error_of([&] { plan_variants(r, one_head()); }), "-budget"));
}

using PlanFile = testing_files::InFolder;

TEST_F(PlanFile, IsReadAndItsFaultsAreNamed) {
  SweepRequest r{.variants = {}, .file = {}, .vary = {}, .baseline = {}};
  r.file = file("plan.json", R"([{"name": "a"},
      {"name": "b", "set": {"obj_loss": "focal", "obj_gamma": 0.5, "net.0.letter_box": true}}])");
  const auto plan = plan_variants(r, one_head());
  EXPECT_EQ(names(plan), (Names{"a", "b"}));
  EXPECT_EQ(plan[1].overrides,
            (Names{"net.0.letter_box=1", "yolo.*.obj_gamma=0.5", "yolo.*.obj_loss=focal"}));
  const std::vector<std::pair<std::string, std::string>> cases{
      {"{", "plan.json: this is not a JSON list"},
      {"[]", "plan.json: this file holds no variants"},
      {"[3]", "'3' is not an object"},
      {R"([{"set": {}}])", "has no name"},
      {R"([{"name": "a/b"}])", "'a/b'"},
      {R"([{"name": "a", "sets": {}}])", "'sets': unknown field"},
      {R"([{"name": "a", "set": {"max": [1]}}])", "'max'"},
      {R"([{"name": "a"}, {"name": "a", "set": {"max": 1}}])", "two variants have this name"},
      {R"([{"name": "a"}, {"name": "b"}])", "the same keys as a"}};
  for (const auto& [text, said] : cases) {
    r.file = file("plan.json", text);
    const std::string error = error_of([&] { plan_variants(r, one_head()); });
    EXPECT_TRUE(holds(error, said)) << text << ": " << error;
  }
}

TEST(KeyUse, IsWhatTheLossesDeclare) {
  const Section head = cfg_of("[yolo]\nobj_loss=focal\ncls_loss=ce\n").front();
  EXPECT_EQ(use_of(head, "obj_gamma", ""), KeyUse::used);
  EXPECT_EQ(use_of(head, "cls_gamma", ""), KeyUse::unused);
  EXPECT_EQ(use_of(head, "obj_loss", ""), KeyUse::not_of_a_loss);
  EXPECT_EQ(use_of(head, "obj_prior", ""), KeyUse::not_of_a_loss);
  const Section bare = cfg_of("[yolo]\n").front();
  EXPECT_EQ(use_of(bare, "obj_gamma", "ce"), KeyUse::unused);
  EXPECT_EQ(use_of(bare, "obj_gamma_ramp", "ce"), KeyUse::unused);
  EXPECT_EQ(use_of(bare, "obj_gamma_ramp", "focal"), KeyUse::used);
  EXPECT_EQ(use_of(bare, "cls_gamma", "ce"), KeyUse::used) << "which loss it is, is not known";
}

TEST(OverriddenText, ReadsAsTheOverriddenSections) {
  const std::string text =
      "# head\n[net]\r\nwidth = 32 # wide\nheight=16\n\n[yolo]\nmax=1\nmax=2\n[yolo]\n";
  const std::vector<std::string> set{"net.0.width=64", "yolo.*.max=7", "yolo.1.classes=3",
                                     "net.0.batch=2", "net.0.batch=4"};
  const std::string changed = with_overrides(text, set);
  EXPECT_TRUE(holds(changed, "# head\n[net]\n")) << changed;
  EXPECT_FALSE(holds(changed, "wide")) << changed;
  std::vector<Section> expected = cfg_of(text), read = cfg_of(changed);
  apply_overrides(expected, set);
  ASSERT_EQ(read.size(), expected.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].type(), expected[i].type());
    for (const char* key : {"width", "height", "batch", "max", "classes"})
      EXPECT_EQ(read[i].text(key, "-"), expected[i].text(key, "-")) << i << ' ' << key;
  }
  EXPECT_EQ(with_overrides("[net]\nwidth=1\n", {}), "[net]\nwidth=1\n");
}

TEST(Shell, QuotesWhatAShellWouldChange) {
  const std::vector<std::string> words{"a-b", "yolo.*.max=1", "it's", ""};
  EXPECT_EQ(shell_command(words), R"(a-b 'yolo.*.max=1' 'it'\''s' '')");
}

}  // namespace
}  // namespace darknet::test
