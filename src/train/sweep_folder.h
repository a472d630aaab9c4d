// The folder of a sweep: sweep.json, which says what its runs have in common and what varies, and a
// folder for each run with its cfg, weights, log, detections and result.json. Any number of
// processes work in one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/lock_file.h"
#include "train/sweep_plan.h"

namespace darknet {

// What varies. Variants and seeds are never taken out.
struct SweepContents {
  std::vector<ComparedVariant> variants;  // in the order in which they were added
  std::vector<std::uint64_t> seeds;
  std::string baseline;
};

// Of variants and seeds, to a folder that is there.
enum class Additions : std::uint8_t { allowed, refused };

class SweepFolder {
 public:
  explicit SweepFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Makes the folder where it is missing, and adds variants and seeds. A variant without a name of
  // the user's takes the folder's name for its keys. `baseline`: "" leaves it as it is.
  // Throws where the folder holds runs of other settings, or the name stands for other keys; where
  // additions are refused, also where it holds other variants, seeds or another baseline.
  void add(const nlohmann::json& settings, std::vector<PlannedVariant>& variants,
           const std::vector<std::uint64_t>& seeds, const std::string& baseline,
           Additions additions = Additions::allowed);
  // What add() would add to what the folder holds: "variant mse, seed 3"; "" for nothing, or where
  // there is no sweep yet. Throws what add() throws.
  std::string additions(const nlohmann::json& settings, std::vector<PlannedVariant> variants,
                        const std::vector<std::uint64_t>& seeds) const;
  // What its runs have in common; throws where it is the folder of no sweep.
  nlohmann::json settings() const;
  // What it holds now; throws where it is the folder of no sweep, or of one whose settings are not
  // `mine`.
  SweepContents contents(const nlohmann::json& mine) const;

  // Throws where the folder holds something else than a sweep with these settings. Nothing is
  // written.
  void require_settings(const nlohmann::json& settings) const;
  // Whether it holds a sweep: its sweep.json exists.
  bool is_there() const;
  // Writes a file that never changes, unless it is there.
  std::filesystem::path keep(const std::string& name, const std::string& contents) const;

  std::filesystem::path of_run(const std::string& variant, std::uint64_t seed) const;
  // Waits for other processes that write the page, a minute at most.
  std::unique_ptr<LockFile> lock_page() const;
  std::unique_ptr<LockFile> try_lock_page() const;

 private:
  std::filesystem::path file() const { return folder_ / "sweep.json"; }
  std::filesystem::path folder_;
};

// How a run ended: its result.json, which is written when all else of it is there.
struct RunRecord {
  RunState state = RunState::finished;
  std::string reason;  // why it diverged
  std::int64_t diverged_at = 0;
  std::uint64_t weights = 0;  // their checksum
  std::string command;        // that repeats the run
};
// None where the run has not ended. Throws where the file is none of this program's.
std::optional<RunRecord> read_record(const std::filesystem::path& run);
// `more`: what else a reader may want to know, such as its metrics.
void write_record(const std::filesystem::path& run, const RunRecord&, nlohmann::json more);

// None where another process makes this run.
std::unique_ptr<LockFile> try_lock_run(const std::filesystem::path& run);

}  // namespace darknet
