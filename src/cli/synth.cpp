// darknet synth folder
#include <fmt/core.h>

#include <cmath>
#include <optional>

#include "cfg/parse.h"
#include "cli/common_flags.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "dataset/input_truths.h"
#include "dataset/scene_set.h"
#include "dataset/scene_shapes.h"
#include "nn/head_types.h"
#include "nn/network.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct SynthArguments {
  SceneSetSettings set;
  std::string folder, size, objects, object_size, cfg;
  std::optional<std::int64_t> test;
  double background = 0;  // negatives per positive that are asked for; 0: nothing is asked
  std::vector<std::string> overrides;
};

template <class T>
struct Pair {
  T first{}, second{};
};

// "3", or two numbers with `between` in the middle: "1..6", "416x416".
template <class T>
Pair<T> pair_of(const std::string& flag, std::string_view text, std::string_view between) {
  Pair<T> pair;
  const auto middle = text.find(between);
  const std::string_view second = middle == text.npos ? text : text.substr(middle + between.size());
  if (!read_number(text.substr(0, middle), pair.first) || !read_number(second, pair.second))
    throw Error(
        cat("-", flag, " '", shown(text), "': expected a number, or two as in 3", between, "7"), 2);
  return pair;
}

// What a cfg's heads would classify in the scenes, counted over some of them.
struct Imbalance {
  double positives = 0, candidates = 0;  // per image
  double ratio() const { return (candidates - positives) / positives; }
};

Imbalance imbalance_of(const Network& net, const Head& head, const SceneSettings& s,
                       std::int64_t scenes) {
  Imbalance sum;
  const Shape input = net.input_shape();
  const InputView view{input.w, input.h, net.settings().letter_box};
  for (std::int64_t k = 0; k < scenes; ++k)
    sum.positives += static_cast<double>(
        head.positives(truths_at_input(scene_truths(s, k), {s.width, s.height}, view), input));
  sum.positives /= static_cast<double>(scenes);
  sum.candidates = static_cast<double>(head.candidates(input));
  return sum;
}

Imbalance imbalance_of(const Network& net, const SceneSettings& s, std::int64_t scenes) {
  Imbalance all;
  for (const HeadAt& at : net.heads()) {
    const Imbalance one = imbalance_of(net, *at.head, s, scenes);
    all.positives += one.positives, all.candidates += one.candidates;
  }
  return all;
}

// Up to `max` objects, on the average half of that and a half.
SceneSettings with_objects(SceneSettings s, std::int64_t max) {
  s.max_objects = max;
  s.min_objects = max > 1 ? 1 : 0;
  return s;
}

bool has_room(const SceneSettings& s, std::int64_t scenes) try {
  for (std::int64_t k = 0; k < scenes; ++k) scene_truths(s, k);
  return true;
} catch (const Error&) {
  return false;
}

// The number of objects at which the ratio of negatives to positives is nearest to `asked`.
SceneSettings with_background(const Network& net, const SceneSettings& s, double asked,
                              InterruptReport& interrupt) {
  constexpr std::int64_t kScenes = 200, kMaxObjects = 1000;
  SceneSettings best = with_objects(s, 1);
  double best_ratio = imbalance_of(net, best, kScenes).ratio();
  const double highest = best_ratio;
  for (std::int64_t max = 2; best_ratio > asked && max <= kMaxObjects; ++max) {
    interrupt.at(cat("while scenes of up to ", plural(max, "object"), " were tried"));
    const SceneSettings next = with_objects(s, max);
    if (!has_room(next, kScenes)) break;
    const double ratio = imbalance_of(net, next, kScenes).ratio();
    const bool nearer = std::abs(std::log(ratio / asked)) < std::abs(std::log(best_ratio / asked));
    if (!nearer && ratio <= asked) break;
    best = next, best_ratio = ratio;
  }
  if (std::abs(std::log(best_ratio / asked)) > std::log(1.5))
    fail("-background ", asked, ": with this cfg and these sizes ", std::llround(best_ratio),
         best_ratio > asked ? " is the least" : " is the most", " that can be reached",
         best_ratio > asked ? ""
                            : cat(" (half an object per image gives ", std::llround(highest), ")"));
  return best;
}

void choose_objects(const Network& net, SynthArguments& o) {
  InterruptReport interrupt("nothing was drawn", "while scenes of 1 object were tried");
  fmt::print("looking for the number of objects that gives {:g} negatives to a positive\n",
             o.background);
  o.set.scenes = with_background(net, o.set.scenes, o.background, interrupt);
}

void print_imbalance(const Network& net, const SceneSettings& s, std::int64_t scenes) {
  const auto line = [](const std::string& name, const Imbalance& i) {
    fmt::print("{}: {:.0f} anchors classified per image, {:.2f} of them positive: {:.0f} to 1\n",
               name, i.candidates, i.positives, i.ratio());
  };
  for (const HeadAt& at : net.heads())
    line(net.layer(at.layer).title(), imbalance_of(net, *at.head, s, scenes));
  if (net.heads().size() > 1) line("all heads", imbalance_of(net, s, scenes));
}

void read_flags(SynthArguments& o) {
  SceneSettings& s = o.set.scenes;
  const auto size = pair_of<std::int64_t>("size", o.size, "x");
  s.width = size.first, s.height = size.second;
  const auto objects = pair_of<std::int64_t>("objects", o.objects, "..");
  s.min_objects = objects.first, s.max_objects = objects.second;
  set_usual_sizes(s);
  if (!o.object_size.empty()) {
    const auto range = pair_of<float>("object_size", o.object_size, "..");
    s.min_size = range.first, s.max_size = range.second;
  }
  o.set.test = o.test.value_or(o.set.count / 5);
  try {
    check(o.set);
  } catch (const Error& e) {
    throw Error(e.what(), 2);
  }
}

// Returns the exit code of a signal that ended it; 0: none did.
int draw(SynthArguments& o) {
  const SceneSettings& s = o.set.scenes;
  const InterruptGuard interrupt("the images");
  const std::string objects = s.min_objects == s.max_objects
                                  ? plural(s.max_objects, "object")
                                  : cat(s.min_objects, " to ", s.max_objects, " objects");
  fmt::print("{}: {} for training, {} for tests; {} x {}, {}, {} of {} to {} pixels\n",
             printable(o.folder), plural(o.set.count - o.set.test, "image"), o.set.test, s.width,
             s.height, plural(s.classes, "class"), objects, s.min_size, s.max_size);
  std::fflush(stdout);  // what follows may take minutes
  o.set.stop = [&] { return interrupt.requested(); };
  const std::int64_t drawn = write_scene_set(o.folder, o.set);
  if (drawn == o.set.count) return 0;
  log::info(cat("interrupted after ", plural(drawn, "image"), " of ", o.set.count, "; ",
                printable(o.folder), " holds them without lists; the same command begins again"));
  return interrupt.exit_code();
}

int synth(SynthArguments& o) {
  read_flags(o);
  if (o.background > 0 && o.cfg.empty()) throw Error("-background needs -cfg: whose anchors?", 2);
  std::optional<Network> net;
  if (!o.cfg.empty()) {
    std::vector<Section> cfg = read_cfg(o.cfg);
    apply_overrides(cfg, o.overrides);
    net.emplace(std::move(cfg), NetworkOptions{});
    if (net->heads().empty())
      fail_at({o.cfg, 0}, "no anchors to classify: there is no detection head (", head_names("or"),
              ")");
  }
  require_scene_folder(o.folder);
  if (o.background > 0) choose_objects(*net, o);
  if (const int interrupted = draw(o)) return interrupted;
  const std::string made = printable((std::filesystem::path(o.folder) / "scenes.data").string());
  if (net) {
    const InterruptReport interrupt(made + " and all that it names are complete",
                                    "while anchors were counted");
    print_imbalance(*net, o.set.scenes, o.set.count);
  }
  fmt::print("-> {}\n", made);
  return 0;
}

}  // namespace

void add_synth(Program& program) {
  const Command command = program.command("synth", "draw a data set of small objects on clutter");
  command.footer(
      "The same seed draws the same bytes. The folder gets images/, labels/, train.txt, test.txt, "
      "scenes.names and scenes.data; scenes made there before are replaced, other files never.");
  auto& o = command.options<SynthArguments>();
  o.size = "416x416", o.objects = "1..6";
  SceneSettings& s = o.set.scenes;
  command.argument("folder", o.folder, "where the scenes go").required();
  command.option("-n", o.set.count, "images in all").integer_in(1, 10'000'000).show_default();
  command.option("-test", o.test, "how many of them are for tests, valid = (a fifth)")
      .integer_from(0);
  add_seed(command, "of everything random (1)", [&s](std::uint64_t seed) { s.seed = seed; });
  command.text_option("-size", o.size, "of an image, WxH pixels").show_default();
  command.text_option("-objects", o.objects, "in one image").show_default();
  command.text_option("-object_size", o.object_size,
                      "the larger side of an object, pixels (4 to 14 % of the image)");
  command.option("-classes", s.classes, "kinds of objects, 1 to 10").show_default();
  command.option("-clutter", s.clutter, "look-alikes and lines around them, 0 to 100")
      .show_default();
  command
      .option(
          "-format", [&o](const std::string& f) { o.set.extension = "." + f; }, "jpg or png (jpg)")
      .one_of({"jpg", "png"});
  command.option("-cfg", o.cfg, "print how many of this network's anchors are positive")
      .input("the cfg")
      .value_name("CFG");
  command
      .option("-background", o.background,
              "with -cfg: as many objects as make this the ratio of negative to positive anchors")
      .number_in(1, 1e9)
      .value_name("RATIO");
  add_overrides(command, o.overrides);
  command.at("-set").needs(command.at("-cfg"));
  add_threads(command, o.set.threads, "threads that draw");
  command.runs([&o] { return synth(o); });
}

}  // namespace darknet::cli
