// NOLINTBEGIN(*-owning-memory,*-no-malloc): callers in C free what they get.
#include "darknet/alexeyab.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "api/engine.h"
#include "api/last_error.h"
#include "api/pixels.h"
#include "cfg/data_file.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log_capture.h"
#include "core/tensor.h"
#include "detect/overlap.h"
#include "eval/open_network.h"
#include "eval/predict.h"
#include "image/codec.h"

using darknet::fail;
using darknet::to_size;

struct network {
  darknet::api::Engine engine;
  std::vector<float> output = {};  // of the last layer in the last pass
};

static_assert(sizeof(detection) == 88 && offsetof(detection, prob) == 24 &&
                  offsetof(detection, objectness) == 40 && offsetof(detection, uc) == 48 &&
                  offsetof(detection, track_id) == 80,
              "the layout of AlexeyAB's darknet.py");

namespace {

constexpr int kNoneChosen = std::numeric_limits<int>::min();
std::atomic<int> chosen_gpu = kNoneChosen;  // cuda_set_device() is of the process

const darknet::log::Capture::Take kSilence = [](auto, const auto&) {};

// f(), without messages; where it throws the sentence is printed, and the result is empty.
template <class F>
auto attempt(F f) noexcept -> decltype(f()) {
  try {
    const darknet::log::Capture capture(kSilence);
    return f();
  } catch (...) {
    darknet::api::keep_last_error();
    std::fprintf(stderr, "darknet: %s\n", darknet::api::last_error());
    return decltype(f())();
  }
}

template <class T>
T* allocate(std::int64_t count) {
  auto* const all =
      static_cast<T*>(std::calloc(to_size(std::max<std::int64_t>(count, 1)), sizeof(T)));
  if (!all) throw std::bad_alloc();
  return all;
}

network& required(network* net) {
  if (!net) fail("a network that was not loaded");
  return *net;
}

void require_data(const image& im) {
  if (!im.data || im.w < 1 || im.h < 1 || darknet::is_too_large(im.w, im.h) ||
      (im.c != 1 && im.c != 3))
    fail("an image of ", im.w, " x ", im.h, " pixels with ", im.c, " channels",
         im.data ? "" : " and no data", "; 1 or 3 channels are possible");
}

image empty_image(std::int64_t w, std::int64_t h, std::int64_t c) {
  if (w < 1 || h < 1 || c < 1 || darknet::is_too_large(w, h) || c > darknet::kMaxChannels)
    fail("an image of ", w, " x ", h, " pixels, ", c, " channels");
  return {static_cast<int>(w), static_cast<int>(h), static_cast<int>(c),
          allocate<float>(w * h * c)};
}

// f(place in planes, place with interleaved channels) for every value.
template <class F>
void for_each_value(std::int64_t pixels, std::int64_t channels, F f) {
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t p = 0; p < pixels; ++p) f(c * pixels + p, p * channels + c);
}

// In 8 bits, which is what the images of most files and of copy_image_from_bytes() have; `channels`
// as the network has them.
darknet::Image bytes_of(const image& im, std::int64_t channels) {
  require_data(im);
  const std::int64_t pixels = std::int64_t{im.w} * im.h;
  std::vector<std::uint8_t> bytes(to_size(pixels * im.c));
  for_each_value(pixels, im.c, [&](std::int64_t from, std::int64_t to) {
    const float value = std::isfinite(im.data[from]) ? std::clamp(im.data[from], 0.f, 1.f) : 0;
    bytes[to_size(to)] = static_cast<std::uint8_t>(std::lround(255 * value));
  });
  return darknet::api::image_of(
      {bytes.data(), im.w, im.h,
       im.c == 1 ? darknet::PixelFormat::grey : darknet::PixelFormat::rgb},
      channels);
}

image placed(const darknet::Image& from, int w, int h, bool letter) {
  if (w < 1 || h < 1 || darknet::is_too_large(w, h)) fail("an image of ", w, " x ", h, " pixels");
  const auto prepared = darknet::prepare_image({}, from, {1, h, w, from.channels}, letter, 0);
  const image to = empty_image(w, h, from.channels);
  for_each_value(std::int64_t{w} * h, from.channels, [&](std::int64_t plane, std::int64_t at) {
    to.data[plane] = prepared.pixels[to_size(at)];
  });
  return to;
}

// Values of images that have the network's size, one plane after the other.
std::vector<float> input_of(const float* planes, const darknet::Shape& input, std::int64_t images) {
  std::vector<float> pixels(to_size(images * input.features()));
  for (std::int64_t i = 0; i < images; ++i) {
    const std::int64_t first = i * input.features();
    for_each_value(input.h * input.w, input.c, [&](std::int64_t plane, std::int64_t at) {
      pixels[to_size(first + at)] = planes[first + plane];
    });
  }
  return pixels;
}

float* forward(network& net, const std::vector<float>& pixels) {
  net.engine.work_with_network([&](darknet::Network& n) {
    darknet::forward_images(n, pixels);
    darknet::require_finite_outputs(n, std::ssize(pixels) / n.input_shape().features());
    net.output = darknet::to_host(n.stream(), n.output(n.size() - 1));
  });
  return net.output.data();
}

// Images here were made without the network: 1 is the largest value of their type.
void require_no_input_max(const darknet::Network& net) {
  if (const float max = net.settings().input_max; max > 0)
    darknet::fail_at(
        net.where(), "[net] input_max=", max,
        ": in a struct image 1 is the largest value of the file's type (255 of 8 bits); "
        "detect files by darknet_detect_files(), or give network_predict_ptr() values "
        "that were divided by ",
        max);
}

float* predict(network& net, const image& im, bool letter) {
  require_data(im);
  require_no_input_max(net.engine.network());
  const darknet::Shape input = net.engine.network().input_shape();
  if (im.w == input.w && im.h == input.h && im.c == input.c)
    return forward(net, input_of(im.data, input, 1));
  const float max = net.engine.network().settings().input_max;
  std::vector<float> pixels;
  net.engine.work([&] {
    pixels = darknet::prepare_image({}, bytes_of(im, input.c), input, letter, max).pixels;
  });
  return forward(net, pixels);
}

// For whom the boxes are.
struct BoxFrameOfCaller {
  int w, h;
  bool relative, letter;
};

bool same_box(const darknet::InputDetection& a, const darknet::InputDetection& b) {
  return a.box.x == b.box.x && a.box.y == b.box.y && a.box.w == b.box.w && a.box.h == b.box.h &&
         a.objectness == b.objectness;
}

detection empty_detection(std::int64_t classes) {
  detection d{};
  d.classes = static_cast<int>(classes);
  d.best_class_idx = -1;
  d.prob = allocate<float>(classes);
  return d;
}

void free_all(detection* all, std::int64_t n) {
  for (std::int64_t i = 0; all && i < n; ++i) {
    std::free(all[i].prob);
    std::free(all[i].mask);
    std::free(all[i].uc);
    std::free(all[i].embedding);
  }
  std::free(all);
}

// An array of detections with memory for their probabilities, freed unless it is released.
class DetectionArray {
 public:
  DetectionArray(std::int64_t count, std::int64_t classes)
      : count_(count), all_(allocate<detection>(count)) {
    try {
      for (std::int64_t i = 0; i < count; ++i) all_[i] = empty_detection(classes);
    } catch (...) {
      free_all(all_, count);
      throw;
    }
  }
  DetectionArray(const DetectionArray&) = delete;
  DetectionArray& operator=(const DetectionArray&) = delete;
  ~DetectionArray() { free_all(all_, count_); }
  detection& operator[](std::int64_t i) { return all_[i]; }
  det_num_pair release() { return {static_cast<int>(count_), std::exchange(all_, nullptr)}; }

 private:
  std::int64_t count_;
  detection* all_;
};

// A box has one entry for each of its classes, next to each other.
std::int64_t count_boxes(const std::vector<darknet::InputDetection>& found) {
  std::int64_t boxes = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    boxes += i == 0 || !same_box(found[i - 1], found[i]) ? 1 : 0;
  return boxes;
}

void set_box(detection& to, const darknet::InputDetection& from, const darknet::Network& net,
             const BoxFrameOfCaller& frame) {
  const darknet::Shape input = net.input_shape();
  const darknet::Placement placement = darknet::plain_placement(
      darknet::ImageSize{frame.w, frame.h}, input.h, input.w, frame.letter);
  const darknet::Box b = darknet::to_image(from.box, placement, frame.w, frame.h, input.h, input.w);
  const auto w = static_cast<float>(frame.relative ? 1 : frame.w);
  const auto h = static_cast<float>(frame.relative ? 1 : frame.h);
  to.bbox = {b.x * w, b.y * h, b.w * w, b.h * h};
  to.objectness = from.objectness;
}

det_num_pair boxes_of(network& net, std::int64_t place, float threshold,
                      const BoxFrameOfCaller& frame) {
  std::vector<darknet::InputDetection> found;
  net.engine.work_with_network(
      [&](darknet::Network& n) { found = darknet::detections(n, place, threshold); });
  const darknet::Network& n = net.engine.network();
  DetectionArray all(count_boxes(found), darknet::classes_of(n));
  std::int64_t at = -1;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i == 0 || !same_box(found[i - 1], found[i])) set_box(all[++at], found[i], n, frame);
    detection& d = all[at];
    d.prob[found[i].class_id] = found[i].probability;
    if (d.best_class_idx < 0 || found[i].probability > d.prob[d.best_class_idx])
      d.best_class_idx = found[i].class_id;
  }
  return all.release();
}

darknet::Box box_of(const detection& d) { return {d.bbox.x, d.bbox.y, d.bbox.w, d.bbox.h}; }

// Clears every detection that overlaps one with a higher score which was not cleared itself.
template <class Score, class Clear>
void suppress(detection* all, int total, float threshold, Score score, Clear clear) {
  std::vector<int> order;
  for (int i = 0; i < total; ++i)
    if (score(all[i]) > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return score(all[a]) > score(all[b]); });
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!(score(all[order[i]]) > 0)) continue;
    const darknet::Box kept = box_of(all[order[i]]);
    for (std::size_t k = i + 1; k < order.size(); ++k)
      if (darknet::iou(kept, box_of(all[order[k]])) > threshold) clear(all[order[k]]);
  }
}

char* copy_of(const std::string& text) {
  char* const to = allocate<char>(std::ssize(text) + 1);
  std::memcpy(to, text.c_str(), text.size() + 1);
  return to;
}

}  // namespace

network* load_network(char* cfg, char* weights, int clear) {
  return load_network_custom(cfg, weights, clear, 1);
}

network* load_network_custom(char* cfg, char* weights, int /*clear*/, int batch) {
  return attempt([&] {
    if (!cfg || !weights) fail("a null pointer in place of the name of a cfg or weights file");
    darknet::DetectorOptions o;
    if (const int gpu = chosen_gpu; gpu != kNoneChosen)
      o.device = gpu < 0 ? "cpu" : darknet::cat("cuda:", gpu);
    o.batch = std::max(batch, 1);
    std::unique_ptr<network> net(new network{{cfg, weights, std::move(o)}});
    darknet::classes_of(net->engine.network());  // throws where it is no detector
    return net.release();
  });
}

void free_network_ptr(network* net) { delete net; }

int network_width(network* net) {
  return net ? static_cast<int>(net->engine.network().input_shape().w) : 0;
}

int network_height(network* net) {
  return net ? static_cast<int>(net->engine.network().input_shape().h) : 0;
}

void cuda_set_device(int index) { chosen_gpu = index; }
void init_cpu() {}
void reset_rnn(network* /*net*/) {}

float* network_predict_image(network* net, image im) {
  return attempt([&] { return predict(required(net), im, false); });
}

float* network_predict_image_letterbox(network* net, image im) {
  return attempt([&] { return predict(required(net), im, true); });
}

float* network_predict_ptr(network* net, float* input) {
  return attempt([&] {
    if (!input) fail("network_predict_ptr: a null pointer");
    const darknet::Shape shape = required(net).engine.network().input_shape();
    return forward(*net, input_of(input, shape, shape.n));
  });
}

detection* get_network_boxes(network* net, int w, int h, float thresh, float /*hier*/, int* /*map*/,
                             int relative, int* num, int letter) {
  const det_num_pair found = attempt([&] {
    if (w < 1 || h < 1) fail("get_network_boxes: an image of ", w, " x ", h, " pixels");
    return boxes_of(required(net), 0, thresh, {w, h, relative != 0, letter != 0});
  });
  if (num) *num = found.num;
  return found.dets;
}

detection* make_network_boxes(network* net, float thresh, int* num) {
  const det_num_pair made = attempt([&] {
    std::int64_t boxes = 0;
    required(net).engine.work_with_network(
        [&](darknet::Network& n) { boxes = count_boxes(darknet::detections(n, 0, thresh)); });
    return DetectionArray(boxes, darknet::classes_of(net->engine.network())).release();
  });
  if (num) *num = made.num;
  return made.dets;
}

void free_detections(detection* all, int n) { free_all(all, n); }

det_num_pair* network_predict_batch(network* net, image im, int batch_size, int w, int h,
                                    float thresh, float /*hier*/, int* /*map*/, int relative,
                                    int letter) {
  return attempt([&] {
    const darknet::Shape input = required(net).engine.network().input_shape();
    if (batch_size < 1 || batch_size > input.n)
      fail("network_predict_batch: ", batch_size, " images, but the network was loaded for ",
           input.n);
    if (!im.data) fail("network_predict_batch: an image without data");
    require_no_input_max(net->engine.network());
    forward(*net, input_of(im.data, input, batch_size));
    det_num_pair* const all = allocate<det_num_pair>(batch_size);
    try {
      for (int i = 0; i < batch_size; ++i)
        all[i] = boxes_of(*net, i, thresh, {w, h, relative != 0, letter != 0});
    } catch (...) {
      free_batch_detections(all, batch_size);
      throw;
    }
    return all;
  });
}

void free_batch_detections(det_num_pair* all, int n) {
  for (int i = 0; all && i < n; ++i) free_all(all[i].dets, all[i].num);
  std::free(all);
}

void do_nms_sort(detection* all, int total, int classes, float thresh) {
  if (!all) return;
  attempt([&] {
    for (int k = 0; k < classes; ++k)
      suppress(
          all, total, thresh, [k](const detection& d) { return d.prob[k]; },
          [k](detection& d) { d.prob[k] = 0; });
  });
}

void do_nms_obj(detection* all, int total, int classes, float thresh) {
  if (!all) return;
  attempt([&] {
    suppress(
        all, total, thresh, [](const detection& d) { return d.objectness; },
        [classes](detection& d) {
          d.objectness = 0;
          std::fill_n(d.prob, classes, 0.f);
        });
  });
}

image make_image(int w, int h, int c) {
  return attempt([&] { return empty_image(w, h, c); });
}

void free_image(image im) { std::free(im.data); }

void copy_image_from_bytes(image im, char* bytes) {
  if (!im.data || !bytes) return;
  for_each_value(std::int64_t{im.w} * im.h, im.c, [&](std::int64_t plane, std::int64_t at) {
    im.data[plane] = static_cast<float>(static_cast<unsigned char>(bytes[at])) / 255;
  });
}

image load_image_color(char* file, int w, int h) {
  return attempt([&] {
    if (!file) fail("load_image_color: a null pointer");
    const darknet::Image from = darknet::read_input(file, {.channels = 3});  // as Detector
    const bool resized = w > 0 && h > 0;
    return placed(from, resized ? w : static_cast<int>(from.width),
                  resized ? h : static_cast<int>(from.height), false);
  });
}

image resize_image(image im, int w, int h) {
  return attempt([&] { return placed(bytes_of(im, im.c), w, h, false); });
}

image letterbox_image(image im, int w, int h) {
  return attempt([&] { return placed(bytes_of(im, im.c), w, h, true); });
}

void rgbgr_image(image im) {
  if (im.c != 3 || !im.data) return;
  const std::int64_t pixels = std::int64_t{im.w} * im.h;
  std::swap_ranges(im.data, im.data + pixels, im.data + 2 * pixels);
}

metadata get_metadata(char* file) {
  return attempt([&] {
    if (!file) fail("get_metadata: a null pointer");
    const darknet::DataFile data = darknet::read_data_file(file);
    const std::vector<std::string> names = darknet::names_of(data.names, data.classes);
    metadata m{static_cast<int>(names.size()), allocate<char*>(std::ssize(names))};
    try {
      for (std::size_t i = 0; i < names.size(); ++i) m.names[i] = copy_of(names[i]);
    } catch (...) {
      free_ptrs(reinterpret_cast<void**>(m.names), m.classes);
      throw;
    }
    return m;
  });
}

void free_ptrs(void** pointers, int n) {
  for (int i = 0; pointers && i < n; ++i) std::free(pointers[i]);
  std::free(pointers);
}
// NOLINTEND(*-owning-memory,*-no-malloc)
