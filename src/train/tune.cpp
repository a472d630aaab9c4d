#include "train/tune.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/copy.h"
#include "core/index.h"
#include "kernels/activate.h"
#include "train/bench.h"
#include "train/random_batch.h"

namespace darknet {
namespace {

constexpr double kMinSeconds = 2e-3;  // between two events
constexpr double kMaxCalls = 50;      // between two events
constexpr double kClearly = .97;      // of the heuristic's time; less is noise
constexpr ConvDirection kDirections[] = {ConvDirection::forward, ConvDirection::backward_data,
                                         ConvDirection::backward_weights};

// A device tensor of noise in [0, scale): one image of it, repeated.
class Noise {
 public:
  Noise(const Stream& stream, const Shape& shape, DType type, float scale = 1)
      : bytes_(stream.device, checked_size(shape) * size_of(type)),
        view_{bytes_.data(), type, shape, shape.c} {
    std::vector<float> values = random_pixels(shape.features(), 1);
    for (float& v : values) v *= scale;
    Tensor one(stream.device, {1, shape.h, shape.w, shape.c});
    one.copy_from(stream, values);
    for (std::int64_t i = 0; i < shape.n; ++i) copy_pixels(stream, one.view(), view_.images(i, 1));
    memory(stream.device.type).synchronize(stream);
  }
  const TensorView& view() const { return view_; }
  float* floats() const { return static_cast<float*>(view_.data); }

 private:
  Buffer bytes_;
  TensorView view_;
};

// A plan that one direction takes an algorithm in, and what it took.
struct Candidate {
  std::string algorithm;
  std::unique_ptr<Tuning> forced;  // the plan refers to it
  std::shared_ptr<ConvPlan> plan;
  double calls = 1;  // between two events
  std::vector<double> seconds;
};

// One convolution alone with tensors of its own.
class Subject {
 public:
  Subject(const Network& net, ConvolutionWork work);
  // Empty where there is nothing to choose.
  TunedConvolution measure(ConvDirection, const std::string& library, int repeats);

 private:
  PlanOptions options_for(ConvDirection, const Tuning*) const;
  std::vector<Candidate> candidates(const TunedConvolution&, const std::vector<std::string>& words,
                                    const std::string& library);
  bool prepare(Candidate&, ConvDirection);
  void run(ConvPlan&, ConvDirection);
  void forward(ConvPlan&);
  double timed(Candidate&, ConvDirection);
  double packing(ConvPlan&);
  double packing_share(Candidate&, ConvDirection);

  const Stream& stream_;
  Ops& ops_;
  double subdivisions_;
  ConvolutionWork work_;
  Noise in_, out_, out_gradient_, in_gradient_, weights_, weight_gradient_, bias_;
  Buffer workspace_;
  std::shared_ptr<ConvPlan> forward_alone_;  // packs the weights of no other direction
  std::unique_ptr<Event> begin_, end_;
};

Shape weight_shape(const ConvSpec& s) { return {s.filters, s.size_y, s.size_x, s.in.c / s.groups}; }

Subject::Subject(const Network& net, ConvolutionWork work)
    : stream_(net.stream()),
      ops_(ops(stream_.device.type)),
      subdivisions_(static_cast<double>(net.settings().subdivisions)),
      work_(std::move(work)),
      in_(stream_, work_.spec.in, work_.options.precision),
      out_(stream_, work_.spec.out(), work_.options.output()),
      out_gradient_(stream_, work_.spec.out(), work_.options.output()),
      in_gradient_(stream_, work_.spec.in, work_.options.precision),
      weights_(stream_, weight_shape(work_.spec), DType::f32, .02f),
      weight_gradient_(stream_, weight_shape(work_.spec), DType::f32),
      bias_(stream_, {1, 1, 1, work_.spec.filters}, DType::f32),
      begin_(streams(stream_.device.type).event(stream_.device)),
      end_(streams(stream_.device.type).event(stream_.device)) {}

PlanOptions Subject::options_for(ConvDirection d, const Tuning* tuning) const {
  PlanOptions o = work_.options;
  o.input_gradient = d == ConvDirection::backward_data;
  o.weight_gradient = d == ConvDirection::backward_weights;
  o.tuning = tuning;
  return o;
}

// As the layer does it, with what of the epilogue the plan leaves.
void Subject::forward(ConvPlan& plan) {
  plan.forward(stream_, in_.view(), bias_.floats(), out_.view(), workspace_.data());
  activate_rest(stream_, work_.epilogue, plan.fused(), out_.view(), bias_.floats());
}

void Subject::run(ConvPlan& plan, ConvDirection d) {
  if (d == ConvDirection::forward)
    forward(plan);
  else if (d == ConvDirection::backward_data)
    plan.backward_data(stream_, out_gradient_.view(), in_gradient_.view(), false,
                       workspace_.data());
  else
    plan.backward_weights(stream_, in_.view(), out_gradient_.view(), weight_gradient_.floats(),
                          workspace_.data());
}

// Seconds of one call.
double Subject::timed(Candidate& c, ConvDirection d) {
  begin_->record(stream_);
  for (double k = 0; k < c.calls; ++k) run(*c.plan, d);
  end_->record(stream_);
  end_->wait();
  return end_->seconds_since(*begin_) / c.calls;
}

// Seconds of packing the weights of all directions of the plan.
double Subject::packing(ConvPlan& plan) {
  begin_->record(stream_);
  plan.set_weights(stream_, weights_.floats(), workspace_.data());
  end_->record(stream_);
  end_->wait();
  return end_->seconds_since(*begin_);
}

// Of packing the weights of this direction, which happens once a step, in seconds of a call.
double Subject::packing_share(Candidate& c, ConvDirection d) {
  if (work_.options.mode != Mode::training || d == ConvDirection::backward_weights) return 0;
  double seconds = packing(*c.plan);
  if (d == ConvDirection::backward_data) seconds -= packing(*forward_alone_);
  return std::max(0., seconds) / subdivisions_;
}

// False where the library proposes the algorithm and then refuses it.
bool Subject::prepare(Candidate& c, ConvDirection d) {
  try {
    c.plan = ops_.conv(work_.spec, work_.epilogue, options_for(d, c.forced.get()));
    if (c.plan->algorithm(d) != c.algorithm) return false;
    if (c.plan->workspace() > workspace_.bytes())
      workspace_ = Buffer(stream_.device, c.plan->workspace());
    c.plan->set_weights(stream_, weights_.floats(), workspace_.data());
    timed(c, d);  // the first call may still prepare something, or fall back to another algorithm
    if (c.plan->algorithm(d) != c.algorithm) return false;
    const double once = std::max(1e-7, timed(c, d));
    c.calls = std::clamp(std::floor(kMinSeconds / once), 1., kMaxCalls);
  } catch (const Error&) {
    return false;
  }
  return true;
}

std::vector<Candidate> Subject::candidates(const TunedConvolution& t,
                                           const std::vector<std::string>& words,
                                           const std::string& library) {
  std::vector<Candidate> all;
  for (const std::string& word : words) {
    const bool known = std::any_of(all.begin(), all.end(),
                                   [&](const Candidate& c) { return c.algorithm == word; });
    if (known) continue;
    Candidate c{.algorithm = word, .forced = std::make_unique<Tuning>(library)};
    c.forced->put(t.use, {.algorithm = word});
    if (prepare(c, t.use.direction)) all.push_back(std::move(c));
  }
  return all;
}

TunedConvolution Subject::measure(ConvDirection d, const std::string& library, int repeats) {
  const auto plan = ops_.conv(work_.spec, work_.epilogue, options_for(d, nullptr));
  TunedConvolution t{.use = conv_use(d, work_.spec, work_.options),
                     .heuristic = plan->algorithm(d)};
  t.chosen = t.heuristic;
  const std::vector<std::string> words = plan->algorithms(d);
  if (words.size() < 2) return t;
  std::vector<Candidate> all = candidates(t, words, library);
  forward_alone_ =
      ops_.conv(work_.spec, work_.epilogue, options_for(ConvDirection::forward, nullptr));
  if (forward_alone_->workspace() > workspace_.bytes())
    workspace_ = Buffer(stream_.device, forward_alone_->workspace());
  for (int i = 0; i < repeats; ++i)  // interleaved, so that noise falls on all alike
    for (Candidate& c : all) c.seconds.push_back(timed(c, d) + packing_share(c, d));
  for (Candidate& c : all) t.timed.push_back({c.algorithm, spread_of(std::move(c.seconds)).median});
  const double of_heuristic = t.seconds_of(t.heuristic);
  double min = of_heuristic > 0 ? kClearly * of_heuristic : 1e30;
  for (const TimedAlgorithm& a : t.timed)
    if (a.seconds < min) t.chosen = a.algorithm, min = a.seconds;
  return t;
}

}  // namespace

double TunedConvolution::seconds_of(const std::string& algorithm) const {
  for (const TimedAlgorithm& a : timed)
    if (a.algorithm == algorithm) return a.seconds;
  return 0;
}

TuneReport tune(const Network& net, int repeats, const std::function<bool()>& stop) {
  const std::string& library = net.algorithms().library();
  TuneReport report{.convolutions = {}, .tuning = Tuning(library)};
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const auto work = net.layer(i).planned_convolution();
    if (!work) continue;
    std::unique_ptr<Subject> subject;
    for (const ConvDirection d : kDirections) {
      if (work->algorithms[to_size(d)].empty() ||
          report.tuning.find(conv_use(d, work->spec, work->options)))
        continue;
      if (stop && stop()) return report;
      if (!subject) subject = std::make_unique<Subject>(net, *work);
      TunedConvolution t = subject->measure(d, library, repeats);
      t.layer = i;
      if (const double seconds = t.seconds_of(t.chosen); seconds > 0)
        report.tuning.put(t.use, {.algorithm = t.chosen, .milliseconds = 1e3 * seconds});
      if (!t.timed.empty()) report.convolutions.push_back(std::move(t));
    }
  }
  return report;
}

}  // namespace darknet
