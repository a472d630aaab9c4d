// Text by Pango: shaping, direction and a font for every script are its own and fontconfig's.
#include <pango/pangocairo.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <numbers>
#include <unordered_map>

#include "core/start_thread.h"
#include "core/utf8.h"
#include "image/canvas.h"
#include "image/overlay.h"

#ifdef __SANITIZE_ADDRESS__
// fontconfig finds its configuration by offsets, which the leak checker takes for no pointers. The
// checker is a library and finds only what is exported.
#define DARKNET_FOR_LSAN extern "C" __attribute__((visibility("default")))
DARKNET_FOR_LSAN const char* __lsan_default_suppressions() { return "leak:libfontconfig\n"; }
DARKNET_FOR_LSAN const char* __lsan_default_options() { return "print_suppressions=0"; }
#endif

namespace darknet {
namespace {

constexpr const char* kFamilies = "DejaVu Sans, Noto Sans, sans-serif";
constexpr std::int64_t kMaxHeight = 1000, kMaxWidth = 20000;  // pixels
constexpr std::size_t kMaxTextBytes = 4000;                   // of a text
constexpr std::size_t kMaxLayouts = 1000;                     // kept for the next frame

struct Unreference {
  void operator()(gpointer object) const { g_object_unref(object); }
};
template <class T>
using GPointer = std::unique_ptr<T, Unreference>;

struct LaidText {
  GPointer<PangoLayout> layout;
  TextSize size;
  double left = 0, baseline = 0;  // of the ink, and below the layout's upper edge, pixels
};

double pixels(int units) { return static_cast<double>(units) / PANGO_SCALE; }

// The same images on every machine with the same fonts: nothing is taken from its settings for
// screens, nor from the language of its user.
GPointer<PangoContext> fixed_context(PangoFontMap* map) {
  GPointer<PangoContext> context(pango_font_map_create_context(map));
  cairo_font_options_t* const options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  pango_cairo_context_set_font_options(context.get(), options);
  cairo_font_options_destroy(options);
  pango_context_set_language(context.get(), pango_language_from_string("en"));
  return context;
}

// Pango reads fonts in threads of its own, and GLib ends the program where there are none: asked
// here first.
void require_thread() {
  start_thread("that reads the system's fonts", [] {}).join();
}

// Lays texts out and keeps them: a video's captions repeat from frame to frame.
class Typesetter {
 public:
  Typesetter()
      : fonts_((require_thread(), pango_cairo_font_map_new())),
        context_(fixed_context(fonts_.get())),
        font_(pango_font_description_from_string(kFamilies), &pango_font_description_free) {
    constexpr std::int64_t kTrial = 1000;
    pango_font_description_set_absolute_size(font_.get(), kTrial * PANGO_SCALE);
    const auto trial = lay_out("H", 0);
    PangoRectangle ink{};
    pango_layout_get_extents(trial.get(), &ink, nullptr);
    if (ink.height > 0) capital_ = pixels(ink.height) / kTrial;
  }

  const LaidText& text(const std::string& text, const TextStyle& style) {
    const std::int64_t height = std::clamp<std::int64_t>(style.height, 1, kMaxHeight);
    const std::int64_t width =
        style.max_width <= 0 ? kMaxWidth : std::min(style.max_width, kMaxWidth);
    const std::string key = std::to_string(height) + ' ' + std::to_string(width) + ' ' + text;
    if (const auto found = kept_.find(key); found != kept_.end()) return found->second;
    if (kept_.size() >= kMaxLayouts) kept_.clear();
    return kept_.emplace(key, measured(text, height, width)).first->second;
  }

 private:
  GPointer<PangoLayout> lay_out(const std::string& text, std::int64_t max_width) {
    require_thread();
    GPointer<PangoLayout> layout(pango_layout_new(context_.get()));
    pango_layout_set_font_description(layout.get(), font_.get());
    pango_layout_set_single_paragraph_mode(layout.get(), TRUE);
    pango_layout_set_auto_dir(layout.get(), FALSE);  // "name 87%" in this order in any script
    pango_layout_set_text(layout.get(), text.data(), static_cast<int>(text.size()));
    if (max_width > 0) {
      pango_layout_set_ellipsize(layout.get(), PANGO_ELLIPSIZE_MIDDLE);
      pango_layout_set_width(layout.get(), static_cast<int>(max_width * PANGO_SCALE));
    }
    return layout;
  }

  LaidText measured(const std::string& text, std::int64_t height, std::int64_t max_width) {
    pango_font_description_set_absolute_size(font_.get(),
                                             static_cast<double>(height) / capital_ * PANGO_SCALE);
    LaidText laid{
        lay_out(printable_utf8(std::string_view(text).substr(0, kMaxTextBytes)), max_width), {}};
    PangoRectangle ink{}, logical{};
    pango_layout_get_extents(laid.layout.get(), &ink, &logical);
    laid.baseline = pixels(pango_layout_get_baseline(laid.layout.get()));
    laid.left = std::min(pixels(ink.x), pixels(logical.x));
    const double right = std::max(pixels(ink.x + ink.width), pixels(logical.x + logical.width));
    const double top = laid.baseline - pixels(ink.y),
                 bottom = pixels(ink.y + ink.height) - laid.baseline;
    // Marks on marks on marks may pile up without end.
    const auto bounded = [&](double v) {
      return std::clamp<std::int64_t>(std::llround(std::ceil(v)), 0, height);
    };
    laid.size = {std::llround(std::ceil(right - laid.left)), height,
                 bounded(top - static_cast<double>(height)), bounded(bottom)};
    return laid;
  }

  GPointer<PangoFontMap> fonts_;
  GPointer<PangoContext> context_;
  std::unique_ptr<PangoFontDescription, decltype(&pango_font_description_free)> font_;
  double capital_ = .73;  // height of a capital letter, as a share of the font's size
  std::unordered_map<std::string, LaidText> kept_;
};

// One for all threads: fonts are opened once, and Pango's objects are used by one thread at a time.
struct SharedTypesetter {
  std::mutex mutex;
  Typesetter typesetter;
};
SharedTypesetter& shared_typesetter() {
  static SharedTypesetter shared;
  return shared;
}

}  // namespace

std::string text_library() { return std::string("Pango ") + pango_version_string(); }

TextSize text_size(const std::string& text, const TextStyle& style) {
  SharedTypesetter& shared = shared_typesetter();
  const std::lock_guard lock(shared.mutex);
  return shared.typesetter.text(text, style).size;
}

void draw_text(Image& image, const std::string& text, std::int64_t x, std::int64_t y,
               const TextStyle& style) {
  SharedTypesetter& shared = shared_typesetter();
  const std::lock_guard lock(shared.mutex);
  const LaidText& laid = shared.typesetter.text(text, style);
  const TextSize& size = laid.size;
  const std::int64_t whole = size.above + size.height + size.below;
  Overlay overlay = style.upwards ? Overlay(image, x - size.above, y, whole, size.width)
                                  : Overlay(image, x, y - size.above, size.width, whole);
  if (overlay.empty()) return;
  cairo_t* const c = overlay.context();
  overlay.set_colour(style.colour);
  cairo_translate(c, static_cast<double>(x), static_cast<double>(y));
  if (style.upwards) {
    cairo_translate(c, 0, static_cast<double>(size.width));
    cairo_rotate(c, -std::numbers::pi / 2);
  }
  cairo_move_to(c, -laid.left, static_cast<double>(size.height) - laid.baseline);
  pango_cairo_show_layout(c, laid.layout.get());
  overlay.blend();
}

}  // namespace darknet
