// How a training run begins: what it reads, what rank 0 loads and all take over.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/index.h"
#include "core/text.h"
#include "core/threads.h"
#include "core/together.h"
#include "dataset/image_list.h"
#include "nn/weights.h"
#include "train/equal_inputs.h"
#include "train/live_chart.h"
#include "train/memory_report.h"
#include "train/plan_report.h"
#include "train/run_length.h"
#include "train/scalar_logs.h"
#include "train/training_batches.h"
#include "train/training_files.h"
#include "train/training_run.h"

namespace darknet {
namespace {

NetworkOptions training_network(const TrainingSettings& o) {
  return {.device = o.device,
          .mode = Mode::training,
          .exact = o.exact,
          .deterministic = o.deterministic,
          .replicas = 1 + std::ssize(o.others),
          .seed = o.seed.value_or(1),
          .tuning = tuning_for(o.tuning, o.device)};
}

}  // namespace

TrainingSettings of_this_rank(TrainingSettings o) {
  const Ranks& ranks = *o.ranks.ranks;
  const std::int64_t local = ranks.local_count(), place = ranks.local_rank();
  if (o.device.type == DeviceType::cpu || local == 1) return o;
  std::vector<Device> all{o.device};
  all.insert(all.end(), o.others.begin(), o.others.end());
  const std::int64_t each = std::ssize(all) / local;
  if (all.size() == 1) {
    const std::int64_t index = o.device.index + place;
    o.device.index = static_cast<int>(index % device_count(o.device.type));
  } else if (each * local == std::ssize(all)) {
    o.device = all[to_size(place * each)];
    o.others.assign(all.begin() + place * each + 1, all.begin() + (place + 1) * each);
  } else {
    fail("-gpus names ", plural(std::ssize(all), "GPU"), " for the ", local,
         " ranks of this host; name as many for each");
  }
  return o;
}

Trainer::Trainer(const TrainingSettings& options, MakeTask task)
    : options_(options),
      page_(is_first() ? open_page(options.http, options.cfg.stem().string()) : nullptr),
      data_(read_data_file(options.data)),
      cfg_(training_sections(options_, data_)),
      task_(task(data_, cfg_)),
      backup_(options.backup.empty() ? data_.backup : options.backup),
      net_(cfg_, training_network(options_)),
      optimizer_(net_, net_.settings()),
      classes_(task_->classes(net_)),
      cache_(options.cache_mb << 20),
      checkpoints_(backup_, options.cfg.stem().string(),
                   options.save_every > 0 ? options.save_every : data_.save_weights, is_first()) {
  if (!options_.interrupted) signals_.emplace("the step", Saving::yes);
  if (!data_.names.empty()) read_names(data_.names, classes_);
  if (max_batches() == 0)
    fail_at({options.cfg.string(), 0}, "[net] max_batches must be set (above 0) to train");
  require_shares(ranks(), net_.settings(), net_.where());
  // Before the labels, which may take minutes to read. Only rank 0 needs the backup folder.
  if (is_first()) options_.weights = find_weights(options_.weights, backup_);
  read_labels();
  if (is_first()) check_training_files(options_, cfg_, data_, checkpoints_, inputs_);
  if (options_.cutoff >= 0 && options_.weights.empty())
    throw Error("-partial needs a weights file", 2);
}

void Trainer::read_labels() {
  labelled_ = task_->labelled(read_image_list(required(data_, data_.train, "train")), classes_,
                              options_.bad_labels);
  shards_ = std::make_unique<ShardVerifier>(labelled_.images, ranks().local_rank(),
                                            ranks().local_count());
  log::info(cat("training images: ", task_->count_of(labelled_)));
  require_channels(labelled_.images, net_.settings(), options_.max_bad, "train");
  if (labelled_.clipped > 0)
    log::warn(cat(plural(labelled_.clipped, "box"),
                  " clipped that reached out of the image by up to ", kOverhangPixels,
                  " pixels or ", kOverhang, " of its size"));
  if (!options_.map) return;
  LabelledImages valid = task_->labelled(read_image_list(required(data_, data_.valid, "valid")),
                                         classes_, options_.bad_labels);
  log::info(cat("validation images: ", task_->count_of(valid)));
  require_channels(valid.images, net_.settings(), 0, "valid");
  make_evaluator(std::move(valid));
}

void Trainer::make_evaluator(LabelledImages valid) {
  const NetSettings& n = net_.settings();
  const auto images = std::ssize(labelled_.images);
  evaluator_.emplace(
      *task_,
      EvaluatorSettings{.images = std::move(valid),
                        .period = evaluation_period(options_.map_epochs, images, n.batch),
                        .first = n.burn_in,
                        .last = n.max_batches,
                        .patience = options_.patience,
                        .threads = options_.threads,
                        .cache = &cache_,
                        .ranks = &ranks()},
      cfg_, net_.options(), state_.evaluation);
}

// Rank 0's; what it loads goes to the others.
Start Trainer::load() {
  const StartOptions options{.weights = options_.weights,
                             .clear = options_.clear,
                             .cutoff = options_.cutoff,
                             .seed = options_.seed};
  Start start = start_training(net_, optimizer_, options);
  require_random_sizes(net_, cfg_);
  state_ = start.state;
  checkpoints_.register_existing(state_);
  log::info(start.summary);
  if (state_.iteration >= max_batches()) report_nothing_left(start.kind);
  if (start.kind == StartKind::weights)
    checkpoints_.keep_start(options.weights, state_.iteration, max_batches());
  return start;
}

// Of the batches this rank's share, or all.
BatchSettings Trainer::batches(bool whole) const {
  BatchSettings settings = task_->training_batches(net_, labelled_, state_.seed);
  settings.shards = shards_.get();
  return whole ? settings : share_of(ranks(), std::move(settings));
}

void Trainer::start(std::unique_ptr<TrainingObserver> observer) {
  if (!is_first()) quiet_.emplace();
  require_equal_inputs();
  Start start;
  together(ranks(), [&] {
    if (is_first()) start = load();
  });
  start.kind = ranks().broadcast_value(start.kind);
  together(ranks(), [&] {
    log_reports(weigh_objectness(net_, labelled_));
    if (!is_first()) return;
    if (start.kind == StartKind::resumed)
      check_compatible(numerics(), state_, options_.weights.string());
    else
      start_fresh(start);
  });
  if (ranks().several()) broadcast_state(ranks(), state_, net_, optimizer_);
  together(ranks(), [&] {
    if (start.kind == StartKind::resumed) resume_algorithms();
    if (!is_first()) net_.parameters_changed();
    batches_.emplace(batches(), &cache_);
    record(numerics(), state_);
    note_run_length(options_, max_batches(), state_);
    if (state_.iteration < max_batches()) {
      log_plan(net_, state_, labelled_.images.size(), backup_);
      log_devices(options_.device, options_.others);
      log_ranks(ranks(), net_.settings());
    }
    make_replicas();
  });
  step_->join_ranks();
  together(ranks(), [&] {
    log_memory();
    if (!is_first()) return;
    show_images();
    make_observers(std::move(observer));
  });
  quiet_.reset();
}

void Trainer::show_images() const {
  if (options_.show_images > 0)
    show_augmented(options_, checkpoints_.file("_augmented"), state_.iteration, batches(true),
                   names_of(data_.names, classes_));
}

// Ranks that read other files would train on something else without a word, and ranks with other
// flags would wait for each other.
void Trainer::require_equal_inputs() {
  if (!ranks().several()) return;
  const std::int64_t save_every =
      options_.save_every > 0 ? options_.save_every : data_.save_weights;
  std::vector<RankInput> inputs = inputs_of_steps(options_, cfg_);
  const auto add = [&](std::vector<RankInput> more) {
    std::ranges::move(more, std::back_inserter(inputs));
  };
  add({input_of_flag("-map", options_.map ? "on" : "off"),
       input_of_flag("-mAP_epochs", cat(options_.map_epochs)),
       input_of_flag("-patience", cat(options_.patience)),
       input_of_flag("-max_bad", cat(options_.max_bad)),
       input_of_flag("-saveweights or save_weights=", cat(save_every))});
  add(inputs_of_list("train", labelled_));
  if (evaluator_) add(inputs_of_list("valid", evaluator_->images()));
  require_equal(ranks(), inputs);
}

// A kill loses no line of the log that a saved state counts.
void Trainer::make_observers(std::unique_ptr<TrainingObserver> more) {
  auto log = std::make_unique<TrainingLog>(checkpoints_.file("_log.jsonl"), state_.iteration);
  auto chart = std::make_unique<LiveChart>(checkpoints_.file("_chart"),
                                           options_.cfg.stem().string(), log->kept());
  if (page_) page_->begin(names_of(data_.names, classes_), log->kept());
  observers_.push_back(std::move(log));
  observers_.push_back(std::make_unique<ProgressLine>());
  observers_.push_back(
      std::make_unique<PeriodicCheckpoints>(checkpoints_, net_, optimizer_, state_));
  observers_.push_back(
      std::make_unique<ResultsCsv>(checkpoints_.file("_results.csv"), state_.iteration));
  if (!options_.tensorboard.empty())
    observers_.push_back(std::make_unique<TensorBoardLog>(options_.tensorboard, state_.iteration));
  observers_.push_back(std::move(chart));
  if (page_) observers_.push_back(std::move(page_));
  if (more) observers_.push_back(std::move(more));
}

NumericsConfig Trainer::numerics() const {
  return {.processor = options_.device.type,
          .devices = net_.options().replicas * ranks().count(),
          .exact = options_.exact,
          .deterministic = options_.deterministic,
          .precision = std::string(name_of(net_.settings().precision)),
          .threads = options_.device.type == DeviceType::cpu ? launch_threads() : 0,
          .scaled_decode = net_.settings().augmentation.scaled_decode};
}

// Bitwise equal results need the algorithms that the run started with, whatever -tuning says now.
void Trainer::resume_algorithms() {
  const Tuning& remembered = state_.algorithms;
  if (remembered.library().empty()) return;  // a state of before there were any
  if (const std::string here = net_.algorithms().library(); here != remembered.library())
    return log::warn(
        cat("that training ran on ", remembered.library(), ", this is ", here, kNotBitwise));
  if (!options_.tuning.empty())
    log::info("the run resumes with the algorithms it began with, not those of -tuning");
  net_.set_algorithms(remembered);
  net_.parameters_changed();
  check_algorithms(remembered, net_.algorithms());
  if (evaluator_) evaluator_->set_algorithms(remembered);
}

// Weights may say of themselves how much they were trained: Darknet's counting, and a surprise for
// those who meant to start from them.
void Trainer::report_nothing_left(StartKind kind) const {
  const std::string text =
      cat(plural(state_.iteration, "iteration"), " already made and max_batches=", max_batches(),
          ": nothing is left to do; a larger max_batches trains on, -clear counts anew");
  if (kind != StartKind::resumed) fail(options_.weights.string(), ": ", text);
  log::info(text);
}

void Trainer::start_fresh(const Start& start) {
  checkpoints_.warn_of_earlier();
  give_advice(start);
  starts_ = start_objectness(
      net_, labelled_, [this] { return Batches(batches(true), &cache_).make(0); },
      start.loaded_layers);
  for (const StartReport& r : starts_) log::info(to_string(r));
}

void Trainer::give_advice(const Start& start) const {
  const std::vector<std::string> names = names_of(data_.names, classes_);
  for (const std::string& finding : task_->advice({.net = &net_,
                                    .names = names,
                                    .train = &labelled_,
                                    .valid = evaluator_ ? &evaluator_->images() : nullptr,
                                    .loaded_layers = start.loaded_layers}))
    log::warn(finding);
}

// Of the step that is asked for next. Darknet averages over the second half of the run.
bool Trainer::averaging() const {
  return net_.settings().ema_alpha > 0 && asked() >= max_batches() / 2;
}

// Every device starts with what the first one has.
void Trainer::make_replicas() {
  replicas_ = {{&net_, &optimizer_}};
  for (const Device& device : options_.others) {
    const log::WithoutWarnings quiet;  // the first network gave those of the cfg
    NetworkOptions options = training_network(options_);
    options.device = device;
    options.tuning = net_.algorithms();
    others_.push_back(std::make_unique<OtherDevice>(cfg_, options, replicas_.front()));
    replicas_.push_back(others_.back()->replica());
  }
  step_ = std::make_unique<TrainingStep>(replicas_, state_.seed, options_.ranks);
  if (state_.loss_scale.scale > 0) step_->set_loss_scale(state_.loss_scale);
  if (state_.positives_average > 0) step_->set_positives_average(state_.positives_average);
}

void Trainer::log_memory() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    auto report = memory_report(*replicas_[i].net, *replicas_[i].optimizer, *step_, i);
    if (!report) continue;
    if (i == 0 && evaluator_) report->evaluation = evaluator_->bytes();
    log::info(to_string(*report));
  }
}

}  // namespace darknet
