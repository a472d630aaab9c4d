// What the tests of darknet import-data and of lists of images share.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "image/image.h"
#include "tests/cli_harness.h"

namespace darknet::test {

inline std::set<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

class ImportData : public testing::Test {
 protected:
  void put_image(const std::filesystem::path& name, int width = 100, int height = 50) const {
    Image image(width, height, 3);
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
      image.pixels[i] = static_cast<std::uint8_t>(30 * (i % 7));
    at_.put(name, image);
  }
  CommandResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "import-data");
    return at_.darknet(arguments);
  }
  CommandResult import(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"in", "out/pets"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  // Expects exit 1, a message that holds `said`, and that no data set was written.
  void expect_error(const CommandResult& r, const std::string& said) const {
    EXPECT_EQ(r.exit_code, 1) << r.all();
    EXPECT_NE(r.err.find(said), std::string::npos) << "expected: " << said << "\n" << r.all();
    EXPECT_FALSE(at_.has("out/pets/pets.data"));
  }
  static void expect_said(const CommandResult& r, const std::string& said) {
    EXPECT_NE(r.out.find(said), std::string::npos) << "expected: " << said << "\n" << r.all();
  }
  std::string get(const std::filesystem::path& name) const { return at_.get("out/pets" / name); }
  std::string path(const std::filesystem::path& name) const {
    return at_.path("out/pets" / name).string();
  }

  // What was written is a data set: it is checked, and trained on for one iteration.
  void expect_trains(const std::string& data = "out/pets/pets.data") const {
    const auto classes = read_data_file(at_.path(data)).classes;
    at_.put("x.cfg", cat("[net]\nbatch=2\nwidth=32\nheight=32\nchannels=3\nlearning_rate=1e-3\n"
                         "max_batches=1\n[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\n"
                         "activation=leaky\n[convolutional]\nfilters=",
                         classes + 5, "\nsize=1\nactivation=linear\n[yolo]\nmask=0\nanchors=8,8\n",
                         "num=1\nclasses=", classes, "\n"));
    const CommandResult r = at_.darknet({"detector", "train", data, "x.cfg", "-backup", "weights"});
    EXPECT_EQ(r.exit_code, 0) << r.all();
    EXPECT_TRUE(at_.has("weights/x_final.weights"));
  }

  Workspace at_;
};

}  // namespace darknet::test
