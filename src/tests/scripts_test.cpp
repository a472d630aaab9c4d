// Runs scripts/*.py on files of a few lines.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
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

class ScriptsTest : public testing_files::InFolder {
 protected:
  void SetUp() override {
    if (run_in_shell("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
  }

  void put(const fs::path& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomically(folder_ / name, text);
  }
  std::string get(const fs::path& name) const { return read_file(folder_ / name, 1 << 20); }
  std::string path(const fs::path& name) const { return (folder_ / name).string(); }
  Ran run_script(const std::string& name, const std::string& arguments) const {
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B '",
                            test::source_dir().string(), "/scripts/", name, "' ", arguments));
  }

  // Expects exit 1, a message that holds `said`, and that nothing was written.
  void expect_error(const Ran& ran, const std::string& said) const {
    EXPECT_EQ(ran.exit_code, 1) << ran.output;
    EXPECT_NE(ran.output.find(said), std::string::npos) << ran.output;
    EXPECT_EQ(ran.output.find("Traceback"), std::string::npos) << ran.output;
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }
};

// "3 maxpool 208 x 208 x 16" for every layer, of what `darknet net info` prints.
std::string layers_of(const std::string& net_info) {
  std::string all;
  std::istringstream lines(net_info);
  for (std::string line; std::getline(lines, line);) {
    const auto arrow = line.find(" -> ");
    std::istringstream words(line.substr(0, arrow));
    std::string index, type, w, h, c, x;
    if (arrow == line.npos || !(words >> index >> type) || index == "layer") continue;
    std::istringstream shape(line.substr(arrow + 4));
    shape >> w >> x >> h >> x >> c;
    all += cat(index, " ", type, " ", w, " x ", h, " x ", c, "\n");
  }
  return all;
}

TEST_F(ScriptsTest, TheTorchBenchBuildsTheSameLayers) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "cfg")) {
    if (entry.path().extension() != ".cfg") continue;
    const std::string cfg = "'" + entry.path().string() + "'";
    const Ran listed = run_script("bench_torch.py", cfg + " --list");
    const Ran info = run_in_shell(cat("'", test::program().string(), "' net info ", cfg));
    ASSERT_EQ(info.exit_code, 0) << info.output;
    EXPECT_EQ(listed.exit_code, 0) << listed.output;
    EXPECT_EQ(listed.output, layers_of(info.output)) << cfg;
    ++compared;
  }
  EXPECT_GE(compared, 9);
}

// Without PyTorch: what is read before it is needed.
TEST_F(ScriptsTest, TheTwoStageDetectorReadsDarknetsDataSets) {
  put("x.data", "classes = 2\n# train\ntrain\n");
  expect_error(run_script("two_stage_torch.py", "x.data"), "x.data:3: expected key = value");
  put("x.data", "classes = 2\ntrain = train.txt\n");
  expect_error(run_script("two_stage_torch.py", "x.data"),
               "x.data: the line valid = ... is missing");
  put("set/labels/a.txt", "1 .5 .5 .2 .4\n\n0 .99 .5 .04 1\n");
  put("read.py", cat("import sys\nsys.path.insert(0, '", test::source_dir().string(),
                     "/scripts')\nimport two_stage_torch as t\n"
                     "def main():\n  for o in t.read_labels('set/images/a.jpg', (100, 50), 2):\n"
                     "    print(*(f'{v:g}' for v in o))\nt.tools.run(main)\n"));
  const auto read = [&] {
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B read.py"));
  };
  EXPECT_EQ(read().output, "1 40 15 60 35\n0 97 0 100 50\n");  // a pixel of overhang is cut
  put("set/labels/a.txt", "1 .5 .5 .2 .4\n2 .5 .5 .2 .4\n");
  expect_error(read(), "set/labels/a.txt:2: class '2' is not among 0 to 1");
  put("set/labels/a.txt", "1 .99 .5 .2 .4\n");
  expect_error(read(), "set/labels/a.txt:1: the box reaches out of the image");
}

TEST_F(ScriptsTest, ThePapersTableNamesTheWeightsThatTuningLacks) {
  put("results.json", R"({"choice": {"groups": [
    {"edges": [{"key": "obj_normalizer", "add": "auto*16"}, {"key": "obj_gamma", "add": "3"}]},
    {"edges": []}, {"edges": [{"key": "obj_normalizer", "add": "auto*16"}]}]}})");
  EXPECT_EQ(run_script("paper_table.py", "edges results.json").output, "auto*16\n");
  EXPECT_EQ(run_script("paper_table.py", "edges none.json").output, "\n");
  put("results.json", "{");
  expect_error(run_script("paper_table.py", "edges results.json"), "results.json: malformed JSON");
}

TEST_F(ScriptsTest, TheFaultsOfMutationsFitTheSources) {
  const Ran listed = run_script("mutate_cuda.py", "--list");
  EXPECT_EQ(listed.exit_code, 0) << listed.output << "; change its text in scripts/mutate_cuda.py";
}

TEST_F(ScriptsTest, TextIsWrittenInTheWorkingFolder) {
  put("write.py", cat("import sys\nsys.path.insert(0, '", test::source_dir().string(),
                      "/scripts')\nimport script_tools as tools\n"
                      "tools.write_text('two_stage.json', 'x')\n"
                      "tools.write_text('a/b.json', 'y')\n"));
  const Ran ran = run_in_shell(cat("cd '", folder_.string(), "' && python3 -B write.py"));
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(get("two_stage.json"), "x");
  EXPECT_EQ(get("a/b.json"), "y");
}

// Labels are of the image as it is looked at.
TEST_F(ScriptsTest, TheTwoStageDetectorTurnsImagesAsTheirCameraWasHeld) {
  if (run_in_shell("python3 -c 'import PIL'").exit_code != 0) GTEST_SKIP() << "no Pillow";
  put("turn.py", cat("import os, sys\nsys.path.insert(0, '", test::source_dir().string(),
                     "/scripts')\nimport two_stage_torch as t\nfrom PIL import Image\n"
                     "os.makedirs('images'), os.makedirs('labels')\n"
                     "for o in 1, 3, 5, 6, 8:\n"
                     "  exif = Image.Exif()\n  exif[0x0112] = o\n"
                     "  Image.new('RGB', (40, 20)).save(f'images/{o}.jpg', exif=exif)\n"
                     "  open(f'labels/{o}.txt', 'w').write('0 .5 .5 .5 1\\n')\n"
                     "open('list.txt', 'w').write(''.join(f'images/{o}.jpg\\n' for o in "
                     "(1, 3, 5, 6, 8)))\n"
                     "images = t.Images('list.txt', 1)\n"
                     "print(images.sizes, images.objects[3][0])\n"));
  EXPECT_EQ(run_in_shell(cat("cd '", folder_.string(), "' && python3 -B turn.py")).output,
            "[(40, 20), (40, 20), (20, 40), (20, 40), (20, 40)] (0, 5.0, 0.0, 15.0, 40.0)\n");
}

// A program that notes its calls and finds the same in all weights.
class PaperScripts : public ScriptsTest {
 protected:
  void SetUp() override {
    ScriptsTest::SetUp();
    put("darknet", cat("#!/bin/sh\necho \"$*\" >>'", path("calls"),
                       "'\nfor last; do :; done\ncase $* in\n*-points*) echo '{\"map\": 0.5, "
                       "\"coco\": {\"ap\": 0.25, \"small\": {\"ap\": -1}, \"medium\": {\"ap\": "
                       "0.25}, \"large\": {\"ap\": 0.25}}}' >\"$last\" ;;\n"
                       "*calc_anchors*) echo 'anchors = 1,2, 3,4' ;;\nesac\n"));
    fs::permissions(folder_ / "darknet", fs::perms::owner_all);
    put("x.data", "classes = 2\n");
  }
  // One run of one variant, and how many more are missing.
  void put_sweep(const std::string& folder, int missing) const {
    put(folder + "/ce-seed1/x_final.weights", "weights");
    put(folder + "/ce-seed1/x.cfg", "cfg");
    fs::remove(folder_ / folder / "results.json");
    put(folder + "/results.json",
        cat(R"({"cfg": "x.cfg", "variants": [{"name": "ce", "keys": [], "diverged": 0, "missing": )",
            missing, R"(}], "runs": [{"variant": "ce", "seed": 1, "state": "finished", )",
            R"("training_seconds": 3}]})"));
  }
  std::string table() const {
    const Ran ran = run_script("paper_table.py", "table ./darknet x.data out");
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    return ran.output;
  }
  std::int64_t calls() const {
    const std::string all = get("calls");
    return std::count(all.begin(), all.end(), '\n');
  }
};

TEST_F(PaperScripts, OtherWeightsAreScoredAnew) {
  put_sweep("out/rows", 0);
  EXPECT_NE(table().find("| 1 | 50.0 | 50.0 | 25.0 | - | 25.0 | 25.0 | 3 s |"), std::string::npos);
  EXPECT_EQ(calls(), 2);
  table();
  EXPECT_EQ(calls(), 2);
  fs::remove(folder_ / "out/rows/ce-seed1/x_final.weights");
  put("out/rows/ce-seed1/x_final.weights", "WEIGHTS");
  table();
  EXPECT_EQ(calls(), 4);
}

TEST_F(PaperScripts, AnUnfinishedConfirmationIsNotConfirmed) {
  put_sweep("out/tuning/confirm", 1);
  const std::string part = table();
  EXPECT_EQ(part.find("confirmed on fresh seeds"), std::string::npos) << part;
  EXPECT_NE(part.find("1 of the confirmation's runs are missing"), std::string::npos) << part;
  put_sweep("out/tuning/confirm", 0);
  const std::string whole = table();
  EXPECT_NE(whole.find("confirmed on fresh seeds"), std::string::npos) << whole;
  EXPECT_EQ(whole.find("missing"), std::string::npos) << whole;
}

TEST_F(PaperScripts, ACfgOfAnotherCallIsRefused) {
  const auto run = [&](const std::string& settings) {
    return run_in_shell(cat("cd '", folder_.string(), "' && OUT=out DARKNET=./darknet TUNE=0 ",
                            "TWO_STAGE=0 ROWS=ce ", settings, " '", test::source_dir().string(),
                            "/scripts/reproduce_paper.sh' plates 2>&1"));
  };
  put("y.data", "classes = 2\n");
  fs::create_directories(folder_ / "out/rows");  // which the sweep would leave
  for (int again = 0; again < 2; ++again) {
    const Ran ran = run("DATA=x.data SIZE=64x32");
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
  }
  EXPECT_NE(get("out/paper.cfg").find("\nanchors=1,2, 3,4\n"), std::string::npos);
  const Ran size = run("DATA=x.data SIZE=96x32"), data = run("DATA=y.data SIZE=64x32");
  EXPECT_EQ(size.exit_code, 1);
  EXPECT_NE(size.output.find("paper.cfg is of another call: it has no line 'width=96'"),
            std::string::npos)
      << size.output;
  EXPECT_EQ(data.exit_code, 1);
  EXPECT_NE(data.output.find("no line '# Anchors of "), std::string::npos) << data.output;
}

TEST_F(ScriptsTest, TheSyntheticNetworkIsWhatItsScriptWrites) {
  const fs::path data = test::test_data() / "synthetic";
  const Ran made =
      run_in_shell(cat("python3 -B '", (data / "make.py").string(), "' '", folder_.string(), "'"));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  for (const char* name : {"synthetic.cfg", "synthetic.weights"})
    EXPECT_TRUE(get(name) == read_file(data / name, 1 << 20)) << name;
}

TEST_F(ScriptsTest, TheTorchBenchRefusesWhatItCannotBuild) {
  const std::string net = "[net]\nwidth=32\nheight=32\n";
  const auto listed = [&](const std::string& layers) {
    put("x.cfg", net + layers);
    return run_script("bench_torch.py", "x.cfg --list");
  };
  EXPECT_EQ(listed("[maxpool]\nsize=3\nstride=2\npadding=1\n[route]\nlayers=-1,0\n").output,
            "0 maxpool 16 x 16 x 3\n1 route 16 x 16 x 6\n");
  expect_error(listed("[sam]\nfrom=-1\n"), "x.cfg: layer 0 [sam] (line 4): this kind");
  expect_error(listed("[convolutional]\nsize=3x\n"), "x.cfg: line 4: [convolutional] size=3x");
  expect_error(listed("[convolutional]\nactivation=elu\n"), "activation=elu is not built");
  expect_error(listed("[route]\nlayers=-1\n"), "layers before this one");
  expect_error(listed("junk\n"), "x.cfg: line 4: neither");
}

}  // namespace
}  // namespace darknet
