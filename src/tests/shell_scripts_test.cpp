// scripts/experiment.sh and scripts/lint.sh, with programs in the place of those that they call.
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

class ShellScripts : public testing_files::InFolder {
 protected:
  std::string get(const fs::path& name) const { return read_file(folder_ / name, 1 << 20); }
  std::string path(const fs::path& name) const { return (folder_ / name).string(); }
  void executable(const fs::path& name, const std::string& text) const {
    fs::permissions(file(name, text), fs::perms::owner_all);
  }
};

// One point's optimum at an edge ends with exit 1; the others are still worked on and drawn.
TEST_F(ShellScripts, TheExperimentGoesOnPastAPointThatIsNotFinished) {
  executable("program",
             "#!/bin/sh\n"
             "echo \"$*\" >> '" +
                 path("calls") +
                 "'\n"
                 "out=$(echo \"$*\" | sed -n 's/.* -out \\([^ ]*\\).*/\\1/p')\n"
                 "case \"$*\" in\n"
                 "synth*) mkdir -p \"$2\"; touch \"$2/scenes.data\";;\n"
                 "*sweep*/150*) exit 1;;\n"
                 "*sweep*) mkdir -p \"$out/confirm\"; touch \"$out/confirm/results.json\";;\n"
                 "esac\n");
  const auto experiment = [&](const std::string& settings) {
    const std::string script = (test::source_dir() / "scripts/experiment.sh").string();
    return run_in_shell(
        cat("cd '", folder_.string(), "' && OUT=out ", settings, " '", script, "' ./program"));
  };
  const Ran ran = experiment("POINTS='150 700'");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_NE(ran.output.find("not finished, for the reasons above: 150"), std::string::npos)
      << ran.output;
  const std::string calls = get("calls");
  EXPECT_NE(calls.find("report gain " + path("out/700/confirm") + " -out " + path("out/gain")),
            std::string::npos)
      << calls;
  EXPECT_NE(calls.find("-variant focal2-x.25: obj_loss=focal obj_gamma=2 obj_alpha=.25 "
                       "obj_prior=auto obj_init=auto obj_normalizer=auto*.25"),
            std::string::npos)
      << calls;
  experiment("POINTS=700");
  EXPECT_EQ(get("calls").find("synth"), calls.find("synth"));
  EXPECT_EQ(get("calls").rfind("synth"), calls.rfind("synth")) << "scenes are drawn once";
  EXPECT_EQ(experiment("POINTS='700 9'").exit_code, 2);
  EXPECT_EQ(experiment("WEIGHTS='1 2'").exit_code, 2);
}

// A clang-tidy that notes what it looks at, and finds something where a file says so.
TEST_F(ShellScripts, LintLooksAtWhatHasChangedSinceItFoundNothing) {
  executable("bin/clang-tidy",
             "#!/bin/sh\n"
             "for file; do :; done\n"
             "case $1 in --version) echo 14; exit;; esac\n"
             "basename \"$file\" >> '" +
                 path("seen") +
                 "'\n"
                 "! grep -q finding \"$file\"\n");
  file("src/h.h", "// a header\n");
  file("src/a b.cpp", "#include \"h.h\"\n");
  file("src/c.cpp", "// finding\n");
  file("src/left.cpp", "");
  file(".clang-tidy", "");
  file("build/build.ninja",
       "rule cc\n  command = c++ -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n"
       "build a.o: cc ../src/a$ b.cpp\nbuild c.o: cc ../src/c.cpp\n");
  const std::string entry = R"({"directory": ")" + path("build") + R"(", "command": "c++", )";
  file("build/compile_commands.json",
       "[" + entry + R"("file": "../src/a b.cpp"}, )" + entry + R"("file": "../src/c.cpp"}])");
  const auto lint = [&] {
    file("seen", "");
    const Ran ran = run_in_shell(
        cat("cd '", folder_.string(), "' && export PATH=\"$PWD/bin:$PATH\" && ninja -C build && ",
            "printf 'src/a b.cpp\\0src/c.cpp\\0src/left.cpp\\0' | python3 -B '",
            test::source_dir().string(), "/scripts/lint_rules.py' build && ",
            "ninja -C build/lint -k 0 -j 1"));
    EXPECT_NE(ran.output.find("not in this build, left out: src/left.cpp"), std::string::npos)
        << ran.output;
    return cat(ran.exit_code == 0 ? "clean: " : "findings: ", get("seen"));
  };
  EXPECT_EQ(lint(), "findings: a b.cpp\nc.cpp\n");
  EXPECT_EQ(lint(), "findings: c.cpp\n");
  file("src/c.cpp", "// mended\n");
  EXPECT_EQ(lint(), "clean: c.cpp\n");
  EXPECT_EQ(lint(), "clean: ");
  file("src/h.h", "// another\n");
  EXPECT_EQ(lint(), "clean: a b.cpp\n");
  // A unity file stands for those that it includes.
  file("build/unity_0.cxx",
       cat("#include \"", path("src/a b.cpp"), "\"\n#include \"", path("src/c.cpp"), "\"\n"));
  file("build/compile_commands.json",
       cat(R"([{"directory": ")", path("build"), R"(", "command": "c++ unity_0.cxx", "file": ")",
           path("build/unity_0.cxx"), "\"}]"));
  file("build/build.ninja",
       "rule cc\n  command = c++ -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n"
       "build u.o: cc unity_0.cxx\n");
  EXPECT_EQ(lint(), "clean: a b.cpp\nc.cpp\n");  // by other commands than before
  EXPECT_EQ(lint(), "clean: ");
  file("src/h.h", "// a third\n");
  EXPECT_EQ(lint(), "clean: a b.cpp\nc.cpp\n");
}

}  // namespace
}  // namespace darknet
