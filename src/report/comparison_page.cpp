#include "report/comparison_page.h"

#include <fmt/format.h>

#include <cmath>

namespace darknet {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --soft: #667; --line: #d5d8de; --mark: #eef4fb; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --ink: #e4e6ea; --soft: #9aa3b2; --line: #343a46; --mark: #1d2836; }
}
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.verdict { background: var(--mark); border-left: .3rem solid #0072b2; padding: .8rem 1rem; font-size: 1.05rem; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin-bottom: 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; display: block; margin: .6rem 0; }
code, pre { font-family: "DejaVu Sans Mono", monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .6rem 1rem; border: 1px solid var(--line); }
.key { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em; margin: 0 .3em 0 .9em; border: 1px solid var(--soft); }
)";

// Text of strangers (names, paths) for HTML: no markup, no control characters.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  return out;
}

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
      rows_ += fmt::format("<{}>{}</{}>", kind, escaped(cell), kind);
    rows_ += "</tr>\n";
  }
  std::string rows_;
};

std::string runs_table(const Comparison& c) {
  Table table({"objectness", "seed", "mAP@0.5", "AP@[.5:.95]", "best F1", "at threshold",
               "precision", "recall", "training"});
  for (const ComparedRun& r : c.runs)
    table.add({c.arms[r.arm].name, std::to_string(r.seed), percent(r.at50.mean_average_precision),
               percent(r.average_precision), fmt::format("{:.3f}", r.at50.f1()),
               fmt::format("{:.2f}", r.threshold), fmt::format("{:.3f}", r.at50.precision()),
               fmt::format("{:.3f}", r.at50.recall()),
               fmt::format("{:.0f} s", r.training_seconds)});
  return table.html();
}

std::string imbalance_table(const Comparison& c) {
  Table table({"objectness", "seed", "background anchors per object anchor",
               "gradient from easy background", "mean p of objects", "mean p of background"});
  for (const ComparedRun& r : c.runs)
    table.add({c.arms[r.arm].name, std::to_string(r.seed),
               fmt::format("{:.0f} : 1", r.negatives_per_positive), percent(r.easy_negative_share),
               fmt::format("{:.3f}", r.p_positive), fmt::format("{:.5f}", r.p_negative)});
  return table.html();
}

std::string classes_table(const Comparison& c) {
  std::vector<std::string> head{"class", "objects"};
  for (const ComparedRun& r : c.runs)
    head.push_back(fmt::format("{}, seed {}", c.arms[r.arm].name, r.seed));
  Table table(head);
  for (std::size_t k = 0; k < c.names.size(); ++k) {
    std::vector<std::string> row{c.names[k], std::to_string(c.runs.front().at50.classes[k].truths)};
    for (const ComparedRun& r : c.runs) {
      const ClassEvaluation& one = r.at50.classes[k];
      row.push_back(one.truths > 0 ? percent(one.average_precision) : "-");
    }
    table.add(row);
  }
  return table.html();
}

std::string arms_list(const Comparison& c) {
  std::string text = "<ul>\n";
  for (const ComparedArm& a : c.arms) {
    std::string keys;
    for (const std::string& o : a.overrides) keys += (keys.empty() ? "" : " ") + o;
    text += fmt::format("<li><b>{}</b>: <code>{}</code></li>\n", escaped(a.name),
                        keys.empty() ? "the cfg as it is" : escaped(keys));
  }
  return text + "</ul>\n";
}

std::string pictures(const PageFiles& files) {
  if (files.pictures.empty()) return "";
  std::string text =
      "<h2>Pictures</h2>\n<p>Spread evenly over the test list, not picked; every network at the "
      "threshold where its own F1 is best, seed of the first run."
      "<span class=\"key\" style=\"background:#009e73\"></span>truth"
      "<span class=\"key\" style=\"background:#56b4e9\"></span>hit"
      "<span class=\"key\" style=\"background:#d55e00\"></span>false"
      "<span class=\"key\" style=\"background:#f0e442\"></span>missed</p>\n";
  for (const auto& p : files.pictures)
    text += fmt::format("<img loading=\"lazy\" src=\"{}\" alt=\"truths and detections of {}\">\n",
                        address(p), escaped(p.stem().string()));
  return text;
}

std::string charts(const PageFiles& files) {
  std::string text;
  for (const auto& p : files.charts)
    text += fmt::format("<a href=\"{0}\"><img src=\"{0}\" alt=\"chart {1}\"></a>\n", address(p),
                        escaped(p.stem().string()));
  return text;
}

std::string title_of(const Comparison& c) {
  std::string text;
  for (const ComparedArm& a : c.arms) text += (text.empty() ? "" : " against ") + a.name;
  return text + " on " + c.data.filename().string();
}

std::string verdicts(const Comparison& c, const std::vector<ArmDifference>& found) {
  std::string text;
  for (const ArmDifference& d : found)
    text += fmt::format("<p class=\"verdict\">{}</p>\n", escaped(verdict(c, d)));
  return text;
}

}  // namespace

std::string comparison_page(const Comparison& c, const std::vector<ArmDifference>& found,
                            const PageFiles& files) {
  const std::string title = escaped(title_of(c));
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n"
      "<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
      title, kStyle);
  page += verdicts(c, found);
  page += fmt::format(
      "<p>The same network (<code>{}</code>), trained from the same random weights on the same "
      "batches: {} pictures, {} iterations; only the keys below differ. Tested on {} other "
      "pictures with {} objects, with the weights of the last iteration.</p>\n",
      escaped(c.cfg.string()), c.training_images, c.iterations, c.images.size(), c.objects);
  page += arms_list(c) + "<h2>Detection</h2>\n" + runs_table(c) + classes_table(c);
  page += "<p class=\"soft\">Average precision by class at IoU 0.5, area under the curve.</p>\n";
  page += "<h2>Imbalance</h2>\n" + imbalance_table(c);
  page +=
      "<p class=\"soft\">Easy background: anchors without an object at p &lt; .1; the share of "
      "the objectness gradient is the mean of the whole training, p that of its last tenth. Focal "
      "loss pulls p towards one half, so its thresholds are lower and its p are not "
      "comparable.</p>\n";
  page += "<h2>Training</h2>\n" + charts(files) + pictures(files);
  page += fmt::format("<h2>Again</h2>\n<pre>{}</pre>\n</body>\n</html>\n", escaped(files.command));
  return page;
}

}  // namespace darknet
