// The modules with OpenCV: that the program starts without them, finds them where they are built
// and installed, and ends with one sentence where they cannot be used.
#if defined(DARKNET_OPENCV)
#include "image/opencv_modules.h"

#include <dlfcn.h>

#include <algorithm>
#include <thread>

#include "cli_harness.h"
#include "darknet/version.h"
#include "image/canvas.h"
#include "image/codec.h"
#include "paths.h"
#include "shell_command.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;

const fs::path kBuilt = program().parent_path();

Image gradient() {
  Image image(64, 48, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 7);
  return image;
}

// The first calls of the process, where this suite runs by itself (ctest).
TEST(OpencvModules, AreOpenedByWhicheverThreadIsFirst) {
  constexpr int kThreads = 4;
  std::vector<Image> decoded(kThreads);
  std::vector<std::thread> threads;
  for (Image& image : decoded)
    threads.emplace_back([&image] { image = decode_rgb(encode(gradient(), ".bmp")); });
  for (std::thread& thread : threads) thread.join();
  for (const Image& image : decoded) EXPECT_EQ(image.pixels, gradient().pixels);
}

TEST(OpencvModules, TheProgramItselfLoadsNoOpencv) {
  const ShellResult ran = run_in_shell(cat("LD_TRACE_LOADED_OBJECTS=1 '", program().string(), "'"));
  EXPECT_NE(ran.output.find("libdnnl"), ran.output.npos) << ran.output;
  for (const char* part : {"opencv", "gdal", "avcodec", "Qt"})
    EXPECT_EQ(ran.output.find(part), ran.output.npos) << ran.output;
}

TEST(OpencvModules, OfAnotherInterfaceGiveNothing) {
  for (const char* file : {OpencvImages::kFile, OpencvVideo::kFile}) {
    void* const module = ::dlopen((kBuilt / file).c_str(), RTLD_LAZY | RTLD_LOCAL);
    ASSERT_TRUE(module) << ::dlerror();
    auto* const entry = reinterpret_cast<ModuleEntry*>(::dlsym(module, "darknet_module"));
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry(0), nullptr);
  }
}

// A copy of the program, bin/darknet in a folder of its own, with images that need OpenCV.
class InstalledProgram : public CliTest {
 protected:
  InstalledProgram() {
    put_tiny_weights(work_, "x.weights");
    fs::create_directories(work_.path("bin"));
    fs::create_directories(work_.path("lib/darknet"));
    fs::copy_file(program(), work_.path("bin/darknet"));
    if (in_library_) fs::copy_file(kBuilt / library_, work_.path("lib") / library_);
    std::string list;
    for (int i = 0; work_.has(cat("images/", i, ".png")); ++i) {
      const std::string bmp = cat("images/", i, ".bmp");
      write_image(work_.path(bmp), read_image(work_.path(cat("images/", i, ".png"))));
      list += bmp + '\n';
    }
    work_.put("train.txt", list);
  }
  ShellResult run(const std::string& arguments) const {
    return run_in_shell(cat("cd '", work_.path("").string(),
                            "' && env -u DISPLAY OMP_WAIT_POLICY=passive ",
                            in_library_ ? "LD_LIBRARY_PATH=lib " : "", "bin/darknet ", arguments));
  }
  void install(const char* file) const {
    fs::create_symlink(kBuilt / file, work_.path("lib/darknet") / file);
  }
  // The only line on standard error is this one, about the module.
  void expect_refused(const std::string& arguments, const std::string& why) const {
    const ShellResult ran = run(arguments + " > out.txt");
    EXPECT_EQ(ran.exit_code, 1) << arguments << '\n' << ran.output;
    const auto last = ran.output.rfind("darknet: ");
    ASSERT_NE(last, ran.output.npos) << arguments << '\n' << ran.output;
    EXPECT_NE(ran.output.find(why, last), ran.output.npos) << arguments << '\n' << ran.output;
    EXPECT_NE(ran.output.find(" the program again", last), ran.output.npos) << ran.output;
    EXPECT_EQ(
        std::count(ran.output.begin() + static_cast<std::ptrdiff_t>(last), ran.output.end(), '\n'),
        1)
        << ran.output;
    EXPECT_EQ(ran.output.find(why), ran.output.rfind(why)) << arguments << '\n' << ran.output;
  }

  // In a build for several processors the program lies in the library.
  const bool in_library_ = fs::exists(kBuilt / "glibc-hwcaps");
  const std::string library_ =
      cat("libdarknet.so.", DARKNET_VERSION_MAJOR, ".", DARKNET_VERSION_MINOR);
};

TEST_F(InstalledProgram, FindsModulesInLib) {
  install(OpencvImages::kFile);
  const ShellResult ran = run("detect x.cfg x.weights images/0.bmp -prefix found -dont_show");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_TRUE(work_.has("found.jpg")) << ran.output;
}

TEST_F(InstalledProgram, WithoutModulesEachCommandEndsWithOneSentence) {
  const std::string missing = cat("cannot find darknet_images.so, a part of this program, in ",
                                  fs::canonical(work_.path(in_library_ ? "lib" : "bin")).string(),
                                  " or in ", fs::canonical(work_.path("lib/darknet")).string());
  ASSERT_EQ(run("detect x.cfg x.weights images/0.png -prefix found -dont_show").exit_code, 0);
  for (const char* command : {"detect x.cfg x.weights images/0.bmp", "detector train x.data x.cfg",
                              "detector test x.data x.cfg x.weights images/0.bmp images/1.bmp",
                              "detector map x.data x.cfg x.weights", "detector check x.data x.cfg",
                              "detector demo x.data x.cfg x.weights images/"})
    expect_refused(command, missing);
  if (has_canvas())  // charts are drawn as .png too
    for (const char* command : {"chart x_log.jsonl", "loss plot", "report gain r -out gain",
                                "detector calc_anchors x.data -num_of_clusters 2"})
      expect_refused(command, missing);
  for (const char* made : {"chart.svg", "loss.svg", "gain", "anchors.svg"})
    EXPECT_FALSE(work_.has(made)) << made;
  work_.put("x.mp4", std::string(1000, 'x'));
  expect_refused("detector demo x.data x.cfg x.weights x.mp4", "cannot find darknet_video.so");
  const ShellResult needs_none = run("net info x.cfg && bin/darknet version");
  EXPECT_EQ(needs_none.exit_code, 0) << needs_none.output;
  EXPECT_NE(needs_none.output.find("images: OpenCV "), std::string::npos) << needs_none.output;
}

TEST_F(InstalledProgram, RefusesWhatIsNoModuleOfIt) {
  work_.put("lib/darknet/darknet_images.so", "no library");
  expect_refused("detector train x.data x.cfg", "cannot load ");
  work_.remove("lib/darknet/darknet_images.so");
  fs::copy_file(kBuilt / "src/tests/libfew_threads.so",
                work_.path("lib/darknet/darknet_images.so"));
  expect_refused("detector train x.data x.cfg", "belongs to another version of this program");
}

}  // namespace
}  // namespace darknet::test
#endif
