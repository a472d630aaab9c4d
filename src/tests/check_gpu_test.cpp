// scripts/check_gpu.py: its arguments, and stages of small steps that fail, hang or are cut off.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "paths.h"
#include "shell_command.h"
#include "temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

using test::run_in_shell;
using Ran = test::ShellResult;

class CheckGpu : public testing_files::InFolder {
 protected:
  void SetUp() override {
    if (run_in_shell("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
  }
  Ran run(const std::string& arguments, const std::string& before = "") const {
    return run_in_shell(cat("cd '", folder_.string(), "' && ", before, " python3 -B '",
                            test::source_dir().string(), "/scripts/check_gpu.py' ", arguments));
  }
  // Each step appends a line to `ran` before it does what it does.
  void put_steps(const std::string& steps) const {
    write_file_atomically(folder_ / "steps.json", "[" + steps + "]");
  }
  static std::string step(const std::string& name, const std::string& command,
                          const std::string& more = "") {
    return cat("{\"stage\": \"a\", \"name\": \"", name,
               "\", \"command\": [\"bash\", \"-c\", \"echo ", name, " >> ran; ", command, "\"]",
               more, "}");
  }
  std::string get(const fs::path& name) const { return read_file(folder_ / name, 1 << 20); }
  static void expect_holds(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
  }
};

TEST_F(CheckGpu, SaysHowItIsCalled) {
  const Ran help = run("--help");
  EXPECT_EQ(help.exit_code, 0) << help.output;
  for (const char* part : {"--stage", "--deadline", "--prefix", "--repeat", "gpu_packages.sh"})
    expect_holds(help.output, part);
  for (const char* wrong :
       {"", "--stage f out", "--deadline 0 out", "--deadline soon out", "--iterations 0 out",
        "--prefix nowhere out", "--architectures x out", "--repeat '[' out"})
    EXPECT_EQ(run(wrong).exit_code, 2) << wrong;
}

TEST_F(CheckGpu, EveryStageBuildsAndHasStepsOfItsOwn) {
  for (const char* stage : {"a", "b", "c", "d", "e"}) {
    const Ran listed = run(cat("--list --stage ", stage));
    ASSERT_EQ(listed.exit_code, 0) << listed.output;
    expect_holds(listed.output, cat(stage, " build-program: cmake --build"));
  }
  const std::string all = run("--list").output;
  const std::string beside = run("--list --stage c").output;
  expect_holds(beside, "bench-yolov3-tiny-next-to-torch-16-f16:");
  for (const char* part : {"check-yolov4-tiny-exact:", "bench-yolov3-tiny-16-f16:",
                           "torch-yolov3-tiny-f16-train-compile:", "sanitizer-memcheck:",
                           "compare: scripts/compare_devices.sh"})
    expect_holds(all, part);
}

TEST_F(CheckGpu, ListingTheStepsAsksNoPyTorch) {
  write_file_atomically(folder_ / "python", "#!/bin/sh\ntouch asked\n");
  fs::permissions(folder_ / "python", fs::perms::owner_all);
  const Ran listed = run("--list --stage c", "TORCH_PYTHON=\"$PWD/python\"");
  EXPECT_EQ(listed.exit_code, 0) << listed.output;
  EXPECT_FALSE(fs::exists(folder_ / "asked"));
}

TEST_F(CheckGpu, AFailureOrAHangingStepEndsNothing) {
  put_steps(step("good", "echo 'inference: 2 ms'") + ", " + step("bad", "echo it broke; exit 3") +
            ", " + step("hangs", "sleep 100", ", \"seconds\": 1") + ", " +
            step("after-bad", "true", ", \"needs\": \"bad\"") + ", " +
            step("elsewhere", "true", ", \"skip\": \"no such tool\"") + ", " +
            step("unsure", "exit 1", ", \"informative\": true") + ", " +
            step("silent", "true", ", \"expect\": \"a GPU\"") + ", " + step("last", "true"));
  const Ran ran = run("--steps steps.json out");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_EQ(get("ran"), "good\nbad\nhangs\nunsure\nsilent\nlast\n");
  const std::string summary = get("out/summary.txt");
  for (const char* part :
       {"good: passed", "bad: FAILED", "exit code 3", "hangs: FAILED", "longer than 1 s",
        "after-bad: skipped, it needs bad", "elsewhere: skipped, no such tool", "unsure: findings",
        "silent: FAILED", "last: passed", "good: inference: 2 ms"})
    expect_holds(summary, part);
  expect_holds(ran.output, "it broke");
  const Ran archived =
      run_in_shell(cat("tar -xzOf '", (folder_ / "out/stage-a.tar.gz").string(), "' bad.txt"));
  expect_holds(archived.output, "it broke");
}

// Two that wait for each other end only side by side; what measures times, or needs one, comes
// after.
TEST_F(CheckGpu, StepsThatMeasureNoTimesRunConcurrently) {
  const std::string concurrent = ", \"concurrent\": true";
  const auto meets = [](const char* other) {
    return cat("for i in $(seq 100); do grep -q ", other, " ran && exit 0; sleep .1; done; exit 1");
  };
  put_steps(step("left", meets("right"), concurrent) + ", " +
            step("right", meets("left"), concurrent) + ", " +
            step("alone", "[ $(wc -l < ran) = 3 ]") + ", " +
            step("first", "sleep 1; echo ended >> ran", concurrent) + ", " +
            step("second", "tail -n 2 ran | grep -q ended", concurrent + ", \"needs\": \"first\""));
  const Ran ran = run("--steps steps.json --jobs 2 out");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
}

TEST_F(CheckGpu, AFileThatIsBrokenIsNamed) {
  put_steps(step("first", "true"));
  write_file_atomically(folder_ / "broken.json", "[{]");
  write_file_atomically(folder_ / "number.json", "[1]");
  for (const char* file : {"broken.json", "number.json", "nowhere.json"}) {
    const Ran refused = run(cat("--steps ", file, " out"));
    EXPECT_EQ(refused.exit_code, 1) << refused.output;
    expect_holds(refused.output, "check_gpu: ");
    expect_holds(refused.output, file);
  }
  EXPECT_EQ(run("--steps steps.json out").exit_code, 0);
  write_file_atomically(folder_ / "build-gpu/check/state.json", "{\"first\": {}}");
  const Ran damaged = run("--steps steps.json out");
  EXPECT_EQ(damaged.exit_code, 1);
  expect_holds(damaged.output, "state.json: damaged (a step without a result); remove it");
}

TEST_F(CheckGpu, AStepEndsWithWhatIgnoresTheFirstSignal) {
  put_steps(step("stubborn", "(trap '' TERM; sleep 3; echo survived >> ran) & sleep 100",
                 ", \"seconds\": 1"));
  EXPECT_EQ(run("--steps steps.json out").exit_code, 1);
  run_in_shell("sleep 3");
  EXPECT_EQ(get("ran"), "stubborn\n");
}

TEST_F(CheckGpu, ACallThatWasCutOffIsContinued) {
  put_steps(step("first", "true", ", \"always\": true") + ", " + step("bad", "exit 1") + ", " +
            step("slow", "[ -e fast ] || sleep 100") + ", " + step("last", "true"));
  const Ran cut = run("--steps steps.json --deadline 5 out");
  EXPECT_EQ(cut.exit_code, 1) << cut.output;
  EXPECT_EQ(get("ran"), "first\nbad\nslow\n");
  expect_holds(cut.output, "slow: cut off");
  expect_holds(cut.output, "not finished: 2 steps, slow first");
  write_file_atomically(folder_ / "fast", "");
  const Ran continued = run("--steps steps.json out");
  EXPECT_EQ(get("ran"), "first\nbad\nslow\nfirst\nslow\nlast\n") << continued.output;
  EXPECT_EQ(continued.exit_code, 1) << "one failed earlier";
  expect_holds(continued.output, "bad: FAILED earlier");
  const Ran repeated = run("--steps steps.json --repeat 'bad|none' out");
  EXPECT_EQ(get("ran"), "first\nbad\nslow\nfirst\nslow\nlast\nfirst\nbad\n") << repeated.output;
}

TEST_F(CheckGpu, ResultsOfOtherSourcesDoNotCount) {
  put_steps(step("first", "true") + ", " + step("second", "true"));
  for (int call = 0; call < 2; ++call) EXPECT_EQ(run("--steps steps.json out").exit_code, 0);
  EXPECT_EQ(get("ran"), "first\nsecond\n");
  put_steps(step("first", "true") + ", " + step("second", "exit 0"));
  const Ran changed = run("--steps steps.json out");
  expect_holds(changed.output, "the sources have changed: 2 results of before do not count");
  EXPECT_EQ(get("ran"), "first\nsecond\nfirst\nsecond\n");
}

TEST_F(CheckGpu, ASourceIsWhatItsFilesHold) {
  fs::create_directories(folder_ / "src/a");
  write_file_atomically(folder_ / "src/a/x.cpp", "1");
  const auto hash = [&] {
    return run_in_shell(cat("cd '", folder_.string(), "' && PYTHONPATH='",
                            test::source_dir().string(),
                            "/scripts' python3 -B -c 'import check_gpu; "
                            "print(check_gpu.hash_of([\"src\"]))'"))
        .output;
  };
  const std::string before = hash();
  EXPECT_EQ(before.size(), 65u) << before;
  EXPECT_EQ(hash(), before);
  write_file_atomically(folder_ / "src/a/x.cpp", "2");
  EXPECT_NE(hash(), before);
  write_file_atomically(folder_ / "src/a/x.cpp", "1");
  EXPECT_EQ(hash(), before);
  fs::rename(folder_ / "src/a/x.cpp", folder_ / "src/a/y.cpp");
  EXPECT_NE(hash(), before);
}

// A signal that comes when the step runs already, but Popen has not returned.
TEST_F(CheckGpu, ASignalWhileAStepIsStartedEndsIt) {
  write_file_atomically(folder_ / "late.py", R"(
import os, signal, subprocess, sys
import stage_runner
begin = subprocess.Popen
def late(*arguments, **more):
    process = begin(*arguments, **more)
    os.kill(os.getpid(), signal.SIGTERM)
    return process
subprocess.Popen = late
runner = stage_runner.Runner("state", "out", 100, "none")
sys.exit(runner.run([stage_runner.Step("a", "slow", ["bash", "-c", "sleep 2; echo late >> ran"])]))
)");
  const Ran ended = run_in_shell(cat("cd '", folder_.string(), "' && PYTHONPATH='",
                                     test::source_dir().string(), "/scripts' python3 -B late.py"));
  EXPECT_EQ(ended.exit_code, 143) << ended.output;
  run_in_shell("sleep 3");
  EXPECT_FALSE(fs::exists(folder_ / "ran"));
}

TEST_F(CheckGpu, ASignalLeavesTheSummaryAndEndsTheStep) {
  put_steps(step("first", "true") + ", " + step("slow", "sleep 7; echo late >> ran") + ", " +
            step("last", "true"));
  const Ran ended = run("--steps steps.json out", "timeout --preserve-status 3");
  run_in_shell("sleep 6");  // what the step would have needed
  EXPECT_EQ(ended.exit_code, 143) << ended.output;
  EXPECT_EQ(get("ran"), "first\nslow\n");
  expect_holds(get("out/summary.txt"), "not finished: 2 steps, slow first");
}

TEST_F(CheckGpu, ASignalEndsAllConcurrentSteps) {
  const std::string concurrent = ", \"concurrent\": true";
  const std::string late = "trap '' TERM; sleep 9; echo late >> ran";
  put_steps(step("left", late, concurrent) + ", " + step("right", late, concurrent));
  const Ran ended = run("--steps steps.json --jobs 2 out", "timeout --preserve-status 2");
  EXPECT_EQ(ended.exit_code, 143) << ended.output;
  run_in_shell("sleep 4");  // what the steps would have needed
  EXPECT_EQ(get("ran").find("late"), std::string::npos);
  expect_holds(get("out/summary.txt"), "not finished: 2 steps, left first");
}

}  // namespace
}  // namespace darknet
