#include "report/training_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/json.h"
#include "core/log.h"
#include "core/utf8.h"

namespace darknet {
namespace {

using nlohmann::json;
using Figures = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kRecent = 20;  // iterations: single batches jump

constexpr const char* kScript = R"html(<script>
const at = id => document.getElementById(id);
let iteration = -1, sampled = at('images').dataset.iteration, drawn = Date.now(), missed = 0;
async function answer(path) {
  const found = await fetch(path);
  if (!found.ok) throw new Error(found.status);
  return found;
}
function figure([name, value]) {
  const box = document.createElement('div');
  box.appendChild(document.createElement('dt')).textContent = name;
  box.appendChild(document.createElement('dd')).textContent = value;
  return box;
}
async function ask() {
  try {
    const state = await (await answer('state.json')).json();
    at('figures').replaceChildren(...state.figures.map(figure));
    at('done').value = state.done;
    at('phase').textContent = state.sentence;
    if (String(state.sampled_at) !== sampled) {
      at('images').innerHTML = await (await answer('images.html')).text();
      sampled = String(state.sampled_at);
    }
    if (state.iteration !== iteration && (iteration < 0 || Date.now() - drawn > 10000)) {
      at('charts').innerHTML = await (await answer('charts.html')).text();
      iteration = state.iteration, drawn = Date.now();
    }
    missed = 0;
  } catch { ++missed; }
  if (missed > 2) at('phase').textContent = 'The training run has ended or cannot be reached.';
  setTimeout(ask, missed > 2 ? 10000 : 2000);
}
setTimeout(ask, 2000);
</script>
)html";

double recent_mean(const std::vector<double>& values) {
  double sum = 0, count = 0;
  for (std::size_t i = values.size() - std::min(values.size(), kRecent); i < values.size(); ++i)
    if (std::isfinite(values[i])) sum += values[i], ++count;
  return count > 0 ? sum / count : kNotLogged;
}

double last_finite(const std::vector<double>& values) {
  const auto found =
      std::find_if(values.rbegin(), values.rend(), [](double v) { return std::isfinite(v); });
  return found == values.rend() ? kNotLogged : *found;
}

std::string percent(double fraction) {
  return std::isfinite(fraction) ? fmt::format("{:.1f} %", 100 * fraction) : "";
}
std::string significant(double value) {
  return std::isfinite(value) ? fmt::format("{:.3g}", value) : "";
}

std::string time_left(const TrainingProgress& p) {
  if (p.phase != TrainingPhase::training) return "";
  return log::duration(static_cast<double>(p.max_batches - p.iteration) * p.seconds_per_iteration);
}

double share_done(const TrainingProgress& p) {
  return p.max_batches > 0 ? static_cast<double>(p.iteration) / static_cast<double>(p.max_batches)
                           : 0;
}

std::string sentence(TrainingPhase phase) {
  switch (phase) {
    case TrainingPhase::preparing:
      return "Reading labels; training begins soon.";
    case TrainingPhase::training:
      return "Training.";
    case TrainingPhase::finished:
      return "Finished.";
    case TrainingPhase::interrupted:
      break;
  }
  return "Interrupted, after saving.";
}

}  // namespace

const char* name_of(TrainingPhase phase) {
  constexpr const char* kNames[] = {"preparing", "training", "finished", "interrupted"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::vector<std::pair<std::string, std::string>> training_figures(const TrainingHistory& h,
                                                                  const TrainingProgress& p) {
  const bool classifier = std::isfinite(h.top);
  const auto figure = [&](Figure f) { return classifier ? kNotLogged : recent_mean(h.figures[f]); };
  Figures all{
      {"iteration",
       p.max_batches > 0 ? fmt::format("{} of {}", p.iteration, p.max_batches) : std::string()},
      {"time left", time_left(p)},
      {"loss, running average", significant(last_finite(h.average_loss))},
      {"mAP@0.5 on valid=", percent(last_finite(h.map))},
      {"top-1 on valid=", percent(last_finite(h.top1))},
      {fmt::format("top-{:.0f} on valid=", h.top), percent(last_finite(h.topk))},
      {classifier ? "best top-1" : "best mAP@0.5", p.best_score >= 0 ? percent(p.best_score) : ""},
      {"gradient from objects", percent(figure(Figure::gradient_positive))},
      {"gradient from hard background", percent(figure(Figure::gradient_hard_negative))},
      {"gradient from easy background", percent(figure(Figure::gradient_easy_negative))},
      {"objects in the first gradient", percent(classifier ? kNotLogged : first_positive_share(h))},
      {"mean p of objects", significant(figure(Figure::p_positive))},
      {"mean p of background", significant(figure(Figure::p_negative))},
      {"learning rate", significant(last_finite(h.learning_rate))},
      {"images per second", significant(recent_mean(h.images_per_second))}};
  std::erase_if(all, [](const auto& one) { return one.second.empty(); });
  return all;
}

std::string training_state_json(const TrainingHistory& h, const TrainingProgress& p) {
  return dump_json(json{{"phase", name_of(p.phase)},
                        {"sentence", sentence(p.phase)},
                        {"done", share_done(p)},
                        {"iteration", p.iteration},
                        {"max_batches", p.max_batches},
                        {"sampled_at", p.sampled_at},
                        {"figures", training_figures(h, p)}},
                   -1, InvalidUtf8::replace);
}

std::string training_charts(const TrainingHistory& h) { return chart_figures(training_chart(h)); }

std::string training_images(const TrainingProgress& p, const std::vector<PageImage>& images) {
  if (images.empty()) return "";
  return fmt::format(
             "<h2>Validation images</h2>\n<p class=\"soft\">As the network of iteration {} sees "
             "them, at the threshold where its F1 is best, {:.2f}.<br>\n",
             p.sampled_at, p.threshold) +
         detection_colour_keys() + "</p>\n" + image_figures(images);
}

std::string training_page(const TrainingHistory& h, const TrainingProgress& p,
                          const std::vector<PageImage>& images) {
  std::string page = page_head(h.label.empty() ? "Training" : "Training of " + h.label);
  page += fmt::format(
      "<p id=\"phase\" role=\"status\">{}</p>\n<progress id=\"done\" value=\"{:.4f}\" "
      "aria-label=\"iterations done\"></progress>\n<dl class=\"now\" id=\"figures\">\n",
      sentence(p.phase), share_done(p));
  for (const auto& [name, value] : training_figures(h, p))
    page += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped_markup(name),
                        escaped_markup(value));
  page += "</dl>\n<div id=\"charts\">" + training_charts(h) + "</div>\n";
  page += fmt::format("<div id=\"images\" data-iteration=\"{}\">", p.sampled_at) +
          training_images(p, images) + "</div>\n";
  return page + kScript + kPageEnd;
}

}  // namespace darknet
