#include "report/comparison_page.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "core/text.h"
#include "core/utf8.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --soft: #667; --line: #d5d8de; --mark: #eef4fb; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --ink: #e4e6ea; --soft: #9aa3b2; --line: #343a46; --mark: #1d2836; }
}
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; margin: 0 0 .2rem; }
.verdict { background: var(--mark); border-left: .3rem solid #0072b2; padding: .8rem 1rem; font-size: 1.05rem; }
.soft, figcaption { color: var(--soft); } figcaption { font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin-bottom: 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)); gap: 1.4rem 1rem; }
.scene { margin-bottom: 1.6rem; }
figure { margin: 0; } img { width: 100%; height: auto; display: block; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; color: var(--soft); }
code, pre { font-family: "DejaVu Sans Mono", monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .6rem 1rem; border: 1px solid var(--line); }
.key { display: inline-block; white-space: nowrap; margin-right: 1em; }
.key i { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em; margin-right: .3em; border: 1px solid var(--soft); }
@media (max-width: 40rem) {
  body { margin-top: 1rem; } h1 { font-size: 1.35rem; }
  th, td { padding: .25rem .45rem; font-size: .85rem; }
}
)";

// The words of the page, each in a line.
constexpr std::array<std::pair<const char*, const char*>, 9> kTerms{{
    {"objectness p",
     "the network's probability that an anchor (one of its candidate boxes) holds an "
     "object; most anchors are background"},
    {"easy background", "anchors without an object at p &lt; .1: already classified well"},
    {"IoU", "overlap of two boxes: their common area over their joint area; 1 is the same box"},
    {"hit, false, missed",
     "a detection with IoU 0.5 or more with an object of its class that no "
     "better detection has; any other detection; an object without a hit"},
    {"precision, recall", "hits over detections; hits over objects"},
    {"best F1, at threshold",
     "the harmonic mean of precision and recall, at the threshold of p where "
     "it is largest; every network has its own"},
    {"mAP@0.5",
     "the area under precision over recall, mean of the classes: all thresholds together"},
    {"AP@[.5:.95]", "the same, mean over least overlaps of a hit from IoU .5 to .95 (COCO)"},
    {"seed",
     "the number that the random weights and the order of the images come from; another one "
     "moves mAP by a point or more"},
}};

// For src="": what a URL would read as something else.
std::string address(const std::filesystem::path& path) {
  std::string out;
  for (const char c : path.generic_string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) || std::string_view("-._~/").find(c) != std::string::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

std::string percent(double fraction) { return fmt::format("{:.1f} %", 100 * fraction); }

class Table {
 public:
  explicit Table(const std::vector<std::string>& head) { row(head, "th"); }
  void add(const std::vector<std::string>& cells) { row(cells, "td"); }
  std::string html() const { return "<div class=\"wide\"><table>\n" + rows_ + "</table></div>\n"; }

 private:
  void row(const std::vector<std::string>& cells, const char* kind) {
    rows_ += "<tr>";
    for (const std::string& cell : cells)
      rows_ += fmt::format("<{}>{}</{}>", kind, escaped_markup(cell), kind);
    rows_ += "</tr>\n";
  }
  std::string rows_;
};

// "focal" and "1", which the figures of the run follow.
std::vector<std::string> row_of(const Comparison& c, const ComparedRun& r) {
  return {c.variants[r.variant].name, std::to_string(r.seed)};
}

std::string state_text(const ComparedRun& r) {
  return r.state == RunState::diverged ? fmt::format("diverged at iteration {}", r.diverged_at)
                                       : name_of(r.state);
}

void append(std::vector<std::string>& row, std::vector<std::string> cells) {
  row.insert(row.end(), cells.begin(), cells.end());
}

std::string runs_table(const Comparison& c) {
  const std::vector<std::string> head{"variant",     "seed",    "mAP@0.5",
                                      "AP@[.5:.95]", "best F1", "at threshold",
                                      "precision",   "recall",  "training"};
  Table table(head);
  for (const ComparedRun& r : c.runs) {
    std::vector<std::string> row = row_of(c, r);
    if (r.has_finished())
      append(row,
             {percent(r.at50.mean_average_precision), percent(r.average_precision),
              fmt::format("{:.3f}", r.at50.f1()), fmt::format("{:.2f}", r.threshold),
              fmt::format("{:.3f}", r.at50.precision()), fmt::format("{:.3f}", r.at50.recall()),
              fmt::format("{:.0f} s", r.training_seconds)});
    else
      row.push_back(state_text(r)), row.resize(head.size());
    table.add(row);
  }
  return table.html();
}

std::string imbalance_table(const Comparison& c) {
  Table table({"variant", "seed", "background anchors per object anchor",
               "gradient from easy background", "mean p of objects", "mean p of background"});
  for (const ComparedRun& r : c.runs) {
    if (!r.has_finished()) continue;
    std::vector<std::string> row = row_of(c, r);
    append(row,
           {fmt::format("{:.0f} : 1", r.negatives_per_positive), percent(r.easy_negative_share),
            fmt::format("{:.3f}", r.p_positive), fmt::format("{:.5f}", r.p_negative)});
    table.add(row);
  }
  return table.html();
}

std::string classes_table(const Comparison& c) {
  std::vector<std::string> head{"class", "objects"};
  std::vector<const ComparedRun*> finished;
  for (const ComparedRun& r : c.runs)
    if (r.has_finished()) {
      finished.push_back(&r);
      head.push_back(fmt::format("{}, seed {}", c.variants[r.variant].name, r.seed));
    }
  if (finished.empty()) return "";
  Table table(head);
  for (std::size_t k = 0; k < c.names.size(); ++k) {
    std::vector<std::string> row{c.names[k],
                                 std::to_string(finished.front()->at50.classes[k].truths)};
    for (const ComparedRun* r : finished) {
      const ClassEvaluation& one = r->at50.classes[k];
      row.push_back(one.truths > 0 ? percent(one.average_precision) : "-");
    }
    table.add(row);
  }
  return table.html();
}

// Runs that diverged, with their reasons.
std::string diverged_list(const Comparison& c) {
  std::string items;
  for (const ComparedRun& r : c.runs)
    if (r.state == RunState::diverged)
      items +=
          fmt::format("<li><b>{}, seed {}</b>: {}</li>\n",
                      escaped_markup(c.variants[r.variant].name), r.seed, escaped_markup(r.reason));
  return items.empty() ? "" : "<h2>Diverged</h2>\n<ul>\n" + items + "</ul>\n";
}

// The command of each run.
std::string commands_list(const Comparison& c) {
  std::string items;
  for (const ComparedRun& r : c.runs)
    if (!r.command.empty()) items += escaped_markup(r.command) + "\n";
  return items.empty() ? ""
                       : "<details><summary>Each run by itself</summary>\n<pre>" + items +
                             "</pre></details>\n";
}

std::string variants_list(const Comparison& c) {
  std::string text = "<ul>\n";
  for (const ComparedVariant& a : c.variants) {
    std::string keys;
    for (const std::string& o : a.overrides) keys += (keys.empty() ? "" : " ") + o;
    text += fmt::format("<li><b>{}</b>: <code>{}</code></li>\n", escaped_markup(a.name),
                        keys.empty() ? "the cfg as it is" : escaped_markup(keys));
  }
  return text + "</ul>\n";
}

std::string key(const Colour& c, const char* text) {
  return fmt::format(
      "<span class=\"key\"><i style=\"background:#{:02x}{:02x}{:02x}\"></i>{}</span>\n", c[0], c[1],
      c[2], text);
}

std::string figures(const std::vector<PanelFile>& panels) {
  std::string text = "<div class=\"figures\">\n";
  for (const PanelFile& p : panels)
    text += fmt::format(
        "<figure><h3>{0}</h3><a href=\"{1}\"><img loading=\"lazy\" src=\"{1}\" "
        "alt=\"{0}\"></a><figcaption>{2}</figcaption></figure>\n",
        escaped_markup(p.title), address(p.path), escaped_markup(p.note));
  return text + "</div>\n";
}

std::string scene(const PageScene& s) {
  return fmt::format("<div class=\"scene\"><p class=\"soft\">{}</p>\n{}</div>\n",
                     escaped_markup(s.name), figures(s.panels));
}

// "seed 3", of the networks in charts and images.
std::string seed_text(const Comparison& c) {
  return fmt::format("seed {}", c.seeds[shown_seed(c).value_or(0)]);
}

std::string scenes(const Comparison& c, const PageFiles& files) {
  if (!files.difference && files.scenes.empty()) return "";
  std::string text =
      "<h2>Images</h2>\n<p>Every network at the threshold where its own F1 is "
      "best, " +
      seed_text(c) + ".<br>\n" + key(kTruthColour, "ground truth") + key(kHitColour, "hit") +
      key(kFalseColour, "false") + key(kMissedColour, "missed") + "</p>\n";
  if (files.difference)
    text +=
        "<h3>Where they differ most</h3>\n<p class=\"soft\">Chosen for it by the program from "
        "all test images: it shows how they differ, not how often.</p>\n" +
        scene(*files.difference);
  if (!files.scenes.empty()) text += "<h3>Spread evenly over the test list, not chosen</h3>\n";
  for (const PageScene& s : files.scenes) text += scene(s);
  return text;
}

std::string charts(const Comparison& c, const PageFiles& files) {
  std::string text;
  if (!files.training.empty())
    text += fmt::format("<h2>Training</h2>\n<p class=\"soft\">Of {}.</p>\n", seed_text(c)) +
            figures(files.training);
  if (!files.precision_recall.empty())
    text += fmt::format("<h2>Precision over recall</h2>\n<p class=\"soft\">IoU 0.5, {}, ",
                        seed_text(c)) +
            "one panel for each class. Each threshold is a point: the share of detections that are "
            "hits, over "
            "the share of objects that are found. Up and to the right is better.</p>\n" +
            figures(files.precision_recall);
  return text;
}

std::string terms() {
  std::string text = "<h2>Terms</h2>\n<dl>\n";
  for (const auto& [term, meaning] : kTerms)
    text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, meaning);
  return text + "</dl>\n";
}

std::string title_of(const Comparison& c) {
  std::string text;
  for (const ComparedVariant& a : c.variants) text += (text.empty() ? "" : " against ") + a.name;
  return text + " on " + c.data.filename().string();
}

std::string verdict_paragraphs(const Comparison& c, const std::vector<VariantDifference>& found) {
  std::string text;
  for (const VariantDifference& d : found)
    text += fmt::format("<p class=\"verdict\">{}</p>\n", escaped_markup(verdict_text(c, d)));
  return text;
}

}  // namespace

std::string comparison_page(const Comparison& c, const std::vector<VariantDifference>& found,
                            const PageFiles& files) {
  const std::string title = escaped_markup(title_of(c));
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n"
      "<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
      title, kStyle);
  page += verdict_paragraphs(c, found);
  page += fmt::format(
      "<p>The same network (<code>{}</code>), trained from the same random weights on the same "
      "batches: {}, {}; only the keys below differ. Tested on {} of valid= with {}, "
      "with the weights of the last iteration.</p>\n",
      escaped_markup(c.cfg.string()), plural(c.training_images, "image"),
      plural(c.iterations, "iteration"), plural(std::ssize(c.images), "image"),
      plural(c.objects, "object"));
  page += variants_list(c) + "<h2>Detection</h2>\n" + runs_table(c) + classes_table(c);
  page += "<p class=\"soft\">Average precision by class at IoU 0.5, area under the curve.</p>\n";
  page += "<h2>Imbalance</h2>\n" + imbalance_table(c);
  page +=
      "<p class=\"soft\">The share of the objectness gradient is the mean of the whole training, p "
      "that of its last tenth. Focal loss pulls p towards one half, so its thresholds are lower "
      "and its p are not comparable.</p>\n";
  page += diverged_list(c) + scenes(c, files) + charts(c, files) + terms();
  page += fmt::format("<h2>Again</h2>\n<pre>{}</pre>\n{}</body>\n</html>\n",
                      escaped_markup(files.command), commands_list(c));
  return page;
}

}  // namespace darknet
