// Training by several processes that mpirun starts: as by one, whatever ends it.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>

#include "cli_harness.h"
#include "core/index.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/pack.h"
#include "paths.h"
#include "shell_command.h"

namespace darknet::test {
namespace {

#if !defined(DARKNET_MPIEXEC)
#define DARKNET_MPIEXEC ""
#endif

// As root in a container with few cores.
constexpr const char* kEnvironment =
    "export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive OMPI_ALLOW_RUN_AS_ROOT=1 "
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
    "OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none\n";

std::int64_t count_of(const std::string& text, const std::string& part) {
  std::int64_t n = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Two heads, dropout, and every key that makes the images of a batch or the micro-batches of a step
// depend on each other.
std::string demanding_cfg() {
  std::string cfg = replaced(kTinyCfg, "batch=2\nsubdivisions=1\n",
                             "batch=12\nsubdivisions=12\nmosaic=1\nmixup=1\nema_alpha=0.9\n");
  cfg = replaced(cfg, "learning_rate=0.002", "learning_rate=0.01\nburn_in=2");
  const std::string head = cfg.substr(cfg.rfind("[yolo]")) +
                           "random=1\nobj_norm=positives_ema\nobj_loss=focal\nobj_prior=auto\n"
                           "obj_init=auto\n";
  cfg = cfg.substr(0, cfg.rfind("[yolo]")) + head;
  return cfg +
         "\n[route]\nlayers=-3\n\n[dropout]\nprobability=.3\n\n[convolutional]\nfilters=24\nsize="
         "1\n"
         "activation=linear\n\n" +
         head;
}

class RanksTraining : public CliTest {
 protected:
  void SetUp() override {
    if (std::string_view(DARKNET_MPIEXEC).empty()) GTEST_SKIP() << "no mpiexec was found";
    work_.put("x.cfg", demanding_cfg());
  }
  ShellResult shell(const std::string& script) const {
    return run_in_shell(cat("cd '", work_.path("").string(), "'\n", kEnvironment, script));
  }
  static std::string command(int ranks, const std::string& more) {
    return cat(ranks == 1 ? "" : cat("'", DARKNET_MPIEXEC, "' -n ", ranks, " "), "'",
               program().string(), "' detector train x.data x.cfg ", more);
  }
  ShellResult train(int ranks, const std::string& more) const {
    return shell(command(ranks, more));
  }
  // Starts it in the background, waits for its iteration 2, then does `then`, which may name the
  // process of a rank by pid_of; `ended` waits for the end and prints the exit code.
  ShellResult while_it_trains(int ranks, const std::string& more, const std::string& then,
                              const std::string& first = "") const {
    return while_it_runs(command(ranks, more), then, first);
  }
  ShellResult while_it_runs(const std::string& command, const std::string& then,
                            const std::string& first = "") const {
    return shell(cat(first,
                     "pid_of() { for p in $(cat /proc/$m/task/*/children); do tr '\\0' '\\n' "
                     "</proc/$p/environ | "
                     "grep -qx OMPI_COMM_WORLD_RANK=$1 && echo $p; done; }\n",
                     command, " >out 2>&1 & m=$!\n",
                     "for i in $(seq 300); do [ -s b/x_log.jsonl ] && break; sleep .1; done\n",
                     then, "\nwait $m; echo exit $?; cat out"));
  }
  // What a run in b/ that failed has saved is its last logged iteration.
  void expect_saved_as_logged(const ShellResult& ran) const {
    ASSERT_TRUE(work_.has("b/x_last.state")) << ran.output;
    const std::int64_t logged = count_of(work_.get("b/x_log.jsonl"), "\n");
    EXPECT_GT(logged, 0);
    const ShellResult more = train(1, cat("b/x_last.weights -backup c -max_batches ", logged + 1));
    ASSERT_EQ(more.exit_code, 0) << more.output;
    EXPECT_EQ(count_of(work_.get("c/x_log.jsonl"), "\n"), 1) << "of iteration " << logged + 1;
  }
  std::vector<float> weights(const std::string& name) const {
    constexpr std::size_t kHeader = 20;
    const std::string bytes = work_.get(name);
    std::vector<float> values((bytes.size() - kHeader) / sizeof(float));
    std::memcpy(values.data(), bytes.data() + kHeader, values.size() * sizeof(float));
    return values;
  }
  static double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = 0, apart = a.size() == b.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      largest = std::max(largest, std::fabs(double{a[i]}));
      const double d = std::fabs(double{a[i]} - b[i]);
      apart = std::isnan(d) ? INFINITY : std::max(apart, d);
    }
    return apart / largest;
  }
};

TEST_F(RanksTraining, GiveTheWeightsOfOneProcess) {
  ASSERT_EQ(train(1, "-backup one").exit_code, 0);
  for (const int ranks : {2, 3, 4}) {
    const ShellResult ran = train(ranks, cat("-backup ", ranks, " -clear"));
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
    EXPECT_EQ(count_of(ran.output, "done: "), 1) << ran.output;
    EXPECT_NE(ran.output.find(cat(ranks, " ranks on 1 host share each batch")), std::string::npos);
    for (const char* name : {"x_final.weights", "x_ema.weights"})
      EXPECT_LT(difference(weights(cat("one/", name)), weights(cat(ranks, "/", name))), 2e-5)
          << name << " of " << ranks;
  }
  EXPECT_GT(difference(weights("one/x_final.weights"), weights("one/x_ema.weights")), 1e-3)
      << "four steps must change something";
}

// Each reads its own images of the shards, and compares some of these with their checksums.
TEST_F(RanksTraining, FromShardsGiveTheWeightsOfOneProcess) {
  Packer packer({.out = work_.path("out"), .shard_bytes = 25'000, .classes = 3}, "work");
  ASSERT_TRUE(packer.pack("train", read_image_list(work_.path("images")), true));
  packer.finish();
  ASSERT_GT(packer.shards("train").size(), 1U);
  work_.put("x.data", "classes = 3\ntrain = out/train-*.tar\nnames = x.names\n");
  ASSERT_EQ(train(1, "-backup one").exit_code, 0);
  const ShellResult ran = train(2, "-backup two");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_LT(difference(weights("one/x_final.weights"), weights("two/x_final.weights")), 2e-5);
  for (const PackedShard& shard : packer.shards("train")) {
    std::string bytes = work_.get("out/" + shard.name);
    ++bytes.back();
    work_.put("out/" + shard.name, bytes);
    const ShellResult refused = train(2, "-backup three");
    EXPECT_EQ(refused.exit_code, 1) << refused.output;
    EXPECT_EQ(count_of(refused.output, "was changed or damaged since it was packed"), 1)
        << refused.output;
    EXPECT_NE(refused.output.find(shard.name + ": was changed"), std::string::npos);
    --bytes.back();
    work_.put("out/" + shard.name, bytes);
  }
}

TEST_F(RanksTraining, GiveTheSameBytesAgain) {
  for (const char* to : {"a", "b"}) {
    const ShellResult ran = train(3, cat("-deterministic -backup ", to));
    ASSERT_EQ(ran.exit_code, 0) << ran.output;
  }
  for (const char* name : {"x_final.weights", "x_ema.weights", "x_last.state"})
    EXPECT_TRUE(work_.get(cat("a/", name)) == work_.get(cat("b/", name))) << name;
  const ShellResult other =
      shell("export DARKNET_OVERLAP=0\n" + command(3, "-deterministic -backup c"));
  ASSERT_EQ(other.exit_code, 0) << other.output;
  EXPECT_TRUE(work_.get("a/x_final.weights") == work_.get("c/x_final.weights"))
      << "buckets change no sum";
}

TEST_F(RanksTraining, GradientsIn16BitsLearnAlmostTheSame) {
  ASSERT_EQ(train(1, "-backup one").exit_code, 0);
  const ShellResult ran = train(2, "-bf16_reduce -backup two");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  const double apart = difference(weights("one/x_final.weights"), weights("two/x_final.weights"));
  EXPECT_LT(apart, .01);
  EXPECT_GT(apart, 1e-6);
}

TEST_F(RanksTraining, EndTogetherAfterASignalToOneAndResumeWithAnotherNumber) {
  const ShellResult ran =
      while_it_trains(2, "-max_batches 100000 -backup b", "kill -TERM $(pid_of 1)");
  EXPECT_NE(ran.output.find("exit 143"), std::string::npos) << ran.output;
  EXPECT_EQ(count_of(ran.output, "interrupted at iteration"), 1) << ran.output;
  ASSERT_TRUE(work_.has("b/x_last.state")) << ran.output;
  const auto at = ran.output.find("interrupted at iteration ") + 25;
  const std::int64_t iteration = std::stoll(ran.output.substr(at));
  const ShellResult more = train(3, cat("b/x_last.weights -backup b -max_batches ", iteration + 3));
  EXPECT_EQ(more.exit_code, 0) << more.output;
  EXPECT_NE(more.output.find(cat("at iteration ", iteration)), std::string::npos) << more.output;
  EXPECT_EQ(count_of(more.output, "ran on 2 devices, this one on 3"), 1) << more.output;
}

TEST_F(RanksTraining, EndWithARankThatIsKilled) {
  const auto start = std::chrono::steady_clock::now();
  const ShellResult ran =
      while_it_trains(3, "-max_batches 100000 -backup b", "kill -KILL $(pid_of 1)");
  EXPECT_EQ(ran.output.find("exit 0"), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("signal 9"), std::string::npos) << ran.output;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

// As where a host is gone, which mpirun may not see.
TEST_F(RanksTraining, EndWithARankThatIsSilent) {
  const ShellResult ran =
      while_it_trains(3, "-max_batches 100000 -backup b", "kill -STOP $(pid_of 2)",
                      "export DARKNET_RANK_TIMEOUT=6\n");
  EXPECT_EQ(ran.output.find("exit 0"), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("rank 2 on "), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("has not answered for 6 s"), std::string::npos) << ran.output;
}

TEST_F(RanksTraining, EndWithTheFaultOfOne) {
  work_.put("images/5.png", "no image");
  const ShellResult ran = train(3, "-max_batches 100 -backup b -max_bad 0");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_EQ(count_of(ran.output, "cannot be read, more than -max_bad"), 1) << ran.output;
}

// As where a server is gone: rank 1 alone cannot read its shard any more.
TEST_F(RanksTraining, SaveWhereTheShardOfOneFails) {
  const auto rank = [&](const std::string& folder) {
    return cat("-n 1 -wdir '", work_.path(folder).string(), "' '", program().string(),
               "' detector train x.data ../x.cfg -backup ../b -cache 0 -max_batches 100000 ");
  };
  const ShellResult ran =
      while_it_runs(cat("'", DARKNET_MPIEXEC, "' ", rank("one"), ": ", rank("two")),
                    "echo x >>two/train-000000.tar",
                    cat("'", program().string(), "' data pack x.data one && cp -r one two\n"));
  EXPECT_NE(ran.output.find("exit 1\n"), std::string::npos) << ran.output;
  EXPECT_NE(ran.output.find("darknet: rank 1 on "), std::string::npos) << ran.output;
  EXPECT_EQ(count_of(ran.output, ": was changed since the program began to read it"), 1)
      << ran.output;
  EXPECT_EQ(count_of(ran.output, "ended by an error at iteration "), 1) << ran.output;
  expect_saved_as_logged(ran);
}

TEST_F(RanksTraining, SaveWhereRank0CannotWriteAFile) {
  const ShellResult ran =
      while_it_trains(2, "-max_batches 100000 -backup b -saveweights 5",
                      "mkdir $(seq -f 'b/x_%.0f.weights' 0 5 99995) 2>/dev/null");
  EXPECT_NE(ran.output.find("exit 1\n"), std::string::npos) << ran.output;
  EXPECT_EQ(count_of(ran.output, "darknet: "), 1) << ran.output;
  expect_saved_as_logged(ran);
}

// As on a full disk: the first error is told, and that nothing could be saved.
TEST_F(RanksTraining, TellWhereRank0CanWriteNothing) {
  const ShellResult ran =
      while_it_trains(2, "-max_batches 100000 -backup b -saveweights 5",
                      "until mkdir b/x_last.weights 2>/dev/null; do rm -f b/x_last.weights; done; "
                      "mkdir $(seq -f 'b/x_%.0f.weights' 0 5 99995) 2>/dev/null");
  EXPECT_NE(ran.output.find("exit 1\n"), std::string::npos) << ran.output;
  EXPECT_EQ(count_of(ran.output, "darknet: "), 1) << ran.output;
  EXPECT_EQ(count_of(ran.output, " cannot be saved: "), 1) << ran.output;
  EXPECT_EQ(ran.output.find("MPI_ABORT"), std::string::npos) << ran.output;
}

// A best network that was not written is not the best of the state: the next run evaluates again.
TEST_F(RanksTraining, EvaluateAgainWhereTheBestCouldNotBeWritten) {
  const ShellResult ran = while_it_trains(2, "-map -max_batches 100000 -backup b",
                                          "rm -f b/x_best.weights; mkdir b/x_best.weights");
  EXPECT_NE(ran.output.find("exit 1\n"), std::string::npos) << ran.output;
  EXPECT_EQ(count_of(ran.output, "darknet: "), 1) << ran.output;
  expect_saved_as_logged(ran);
  const std::int64_t logged = count_of(work_.get("b/x_log.jsonl"), "\n");
  const ShellResult more =
      shell("rmdir b/x_best.weights\n" +
            command(1, cat("b/x_last.weights -map -backup b -max_batches ", logged + 1)));
  EXPECT_EQ(more.exit_code, 0) << more.output;
  EXPECT_EQ(count_of(more.output, cat("iteration ", logged, ": mAP")), 1) << more.output;
  EXPECT_TRUE(work_.has("b/x_best.weights"));
}

TEST_F(RanksTraining, PlanHoursTogether) {
  const ShellResult ran = train(2, "-hours .0003 -backup b");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  constexpr const char* kSays = "-hours 0.0003: ";
  ASSERT_EQ(count_of(ran.output, kSays), 1) << ran.output;
  const std::int64_t planned =
      std::stoll(ran.output.substr(ran.output.find(kSays) + std::strlen(kSays)));
  EXPECT_EQ(count_of(work_.get("b/x_log.jsonl"), "\n"), planned) << ran.output;
  const ShellResult more = train(3, "b/x_last.weights -hours .0003 -backup b");
  EXPECT_EQ(more.exit_code, 0) << more.output;
  EXPECT_EQ(count_of(more.output, cat("keeps its planned length of ", planned)), 1) << more.output;
}

TEST_F(RanksTraining, SayWhatMpirunDoesNotWaitFor) {
  for (const int seconds : {0, 600}) {
    const ShellResult ran = shell(cat("export OMPI_MCA_odls_base_sigkill_timeout=", seconds, "\n",
                                      command(2, "-backup b -clear")));
    EXPECT_EQ(count_of(ran.output, "leaves its processes 0 s to save after Ctrl-C"),
              seconds == 0 ? 1 : 0)
        << ran.output;
  }
}

TEST_F(RanksTraining, RefuseMicroBatchesThatCannotBeSharedOut) {
  const ShellResult ran = train(5, "-backup b");
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_EQ(count_of(ran.output, "x.cfg:1: subdivisions=12 cannot be shared out over 5 ranks"), 1)
      << ran.output;
}

TEST_F(RanksTraining, RefuseARankWithOtherFlags) {
  const std::string start =
      cat("'", program().string(), "' detector train x.data x.cfg -backup b ");
  struct Case {
    const char *all, *one, *said;
  };
  for (const auto& [all, one, said] :
       {Case{"", "-hours 1 ", ": -hours is 1, in rank 0 0; "},
        Case{"", "-bf16_reduce ", ": -bf16_reduce is on, in rank 0 off; "},
        Case{"-hours 1 ", "-bf16_reduce ", ": -bf16_reduce is on, in rank 0 off; "},
        Case{"", "-set net.0.momentum=.8 ", ": the checksum of the cfg"},
        Case{"-hours 1 ", "-set net.0.momentum=.8 ", ": the checksum of the cfg"}}) {
    const ShellResult ran =
        shell(cat("'", DARKNET_MPIEXEC, "' -n 1 ", start, all, ": -n 1 ", start, all, one));
    EXPECT_EQ(ran.exit_code, 1) << ran.output;
    EXPECT_EQ(count_of(ran.output, said), 1) << ran.output;
  }
}

TEST_F(RanksTraining, EvaluateOnceAndTogether) {
  const ShellResult ran = train(2, "-map -backup two");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(count_of(ran.output, "mAP@0.5"), 1) << ran.output;
  EXPECT_TRUE(work_.has("two/x_best.weights"));
}

// What the command prints, but for times, and the file of detector valid.
TEST_F(RanksTraining, EvaluationIsThatOfOneProcess) {
  ASSERT_EQ(train(1, "-backup one").exit_code, 0);
  const auto evaluate = [&](int ranks, const std::string& words) {
    const ShellResult ran =
        shell(cat(ranks == 1 ? "" : cat("'", DARKNET_MPIEXEC, "' -n ", ranks, " "), "'",
                  program().string(), "' ", words, " 2>err | sed 's/ in [0-9.]* s$//'"));
    EXPECT_EQ(ran.exit_code, 0) << ran.output << work_.get("err");
    return ran.output;
  };
  for (const char* words : {"detector map x.data x.cfg one/x_final.weights",
                            "detector map x.data x.cfg one/x_final.weights -tile 16x16",
                            "detector recall x.data x.cfg one/x_final.weights"}) {
    const std::string expected = evaluate(1, words);
    EXPECT_GT(expected.size(), 50U) << words;
    for (const int ranks : {2, 3}) EXPECT_EQ(evaluate(ranks, words), expected) << words;
  }
  const std::string valid = "detector valid x.data x.cfg one/x_final.weights -format coco -out ";
  for (const int ranks : {1, 2, 3}) evaluate(ranks, cat(valid, "r", ranks));
  EXPECT_GT(work_.get("results/r1.json").size(), 10U);
  EXPECT_EQ(work_.get("results/r2.json"), work_.get("results/r1.json"));
  EXPECT_EQ(work_.get("results/r3.json"), work_.get("results/r1.json"));
}

TEST_F(RanksTraining, OtherCommandsRefuseSeveralProcesses) {
  const ShellResult ran =
      shell(cat("'", DARKNET_MPIEXEC, "' -n 2 '", program().string(), "' synth scenes -n 4"));
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_NE(ran.output.find("mpirun started 2 processes, and this command runs as one process"),
            std::string::npos)
      << ran.output;
  EXPECT_FALSE(work_.has("scenes/scenes.data"));
}

TEST_F(RanksTraining, UsageErrorsAreSaidOnce) {
  const ShellResult ran =
      shell(cat("'", DARKNET_MPIEXEC, "' -n 2 '", program().string(), "' detector train -foo"));
  EXPECT_NE(ran.exit_code, 0);
  const auto said = ran.output.find("unknown flag '-foo'");
  ASSERT_NE(said, std::string::npos) << ran.output;
  EXPECT_EQ(ran.output.find("unknown flag '-foo'", said + 1), std::string::npos) << ran.output;
}

TEST_F(RanksTraining, AUsageErrorOfOneRankIsPrinted) {
  const std::string train = cat("'", program().string(), "' detector train x.data x.cfg ");
  const ShellResult ran =
      shell(cat("'", DARKNET_MPIEXEC, "' -n 1 ", train, ": -n 1 ", train, "-nonsense"));
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_EQ(count_of(ran.output, "rank 1: unknown flag '-nonsense'"), 1) << ran.output;
}

TEST_F(RanksTraining, RefuseRanksWithOtherCommands) {
  const std::string start = cat("'", program().string(), "' detector ");
  const ShellResult ran =
      shell(cat("'", DARKNET_MPIEXEC, "' -n 1 ", start, "train x.data x.cfg : -n 1 ", start,
                "map x.data x.cfg x.weights"));
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_EQ(count_of(ran.output,
                     "the command is darknet detector map, in rank 0 darknet "
                     "detector train"),
            1)
      << ran.output;
}

TEST_F(RanksTraining, AnErrorOfAllRanksIsPrintedOnce) {
  const ShellResult ran = shell(cat("'", DARKNET_MPIEXEC, "' -n 3 '", program().string(),
                                    "' detector map x.data x.cfg missing.weights"));
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  EXPECT_EQ(count_of(ran.output, "missing.weights: "), 1) << ran.output;
}

// N processes that train the same files next to each other must not begin.
TEST_F(CliTest, ALauncherWithoutMpiIsAnError) {
  const ShellResult ran = run_in_shell(cat("cd '", work_.path("").string(),
                                           "'\nexport OMPI_COMM_WORLD_SIZE=2 "
                                           "OMPI_COMM_WORLD_RANK=0 DARKNET_MODULES=",
                                           work_.path("").string(), "\n'", program().string(),
                                           "' detector train x.data x.cfg"));
  EXPECT_EQ(ran.exit_code, 1) << ran.output;
  for (const char* said :
       {"mpirun started 2 processes that are to work as one job, but",
        std::string_view(DARKNET_MPIEXEC).empty() ? "libopenmpi-dev"
                                                  : "install darknet-focal-mpi_*.deb"})
    EXPECT_NE(ran.output.find(said), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace darknet::test
