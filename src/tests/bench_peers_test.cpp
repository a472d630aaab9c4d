// scripts/bench_peers.py: the networks that it builds for other engines, how it compares outputs,
// and its tables.
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

using test::run_in_shell;
using Ran = test::ShellResult;

constexpr const char* kYolo = R"([yolo]
mask=1
anchors=1,2, 3,4
classes=2
num=2
scale_x_y=1.1
[route]
layers=0
)";
constexpr const char* kRegion = R"([region]
anchors=1,2, 3,1
classes=2
num=2
softmax=1
)";

// Odd padding, a layer with two readers, halves of channels, both heads.
const std::string kPeersCfg = cat(R"([net]
width=16
height=8
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=1
[route]
layers=-1
groups=2
group_id=1
[upsample]
[convolutional]
batch_normalize=1
filters=4
groups=2
size=1
activation=swish
[route]
layers=-1,-2
[convolutional]
filters=7
size=1
activation=linear
)",
                                  kYolo, R"([convolutional]
batch_normalize=1
filters=14
size=1
activation=linear
)",
                                  kRegion);

// The convolutions 1x1 that a test can compute itself; the heads as above.
const std::string kPointwise = cat(R"([net]
width=16
height=8
[convolutional]
batch_normalize=1
filters=7
size=1
activation=linear
)",
                                   kYolo, R"([convolutional]
filters=14
size=1
activation=linear
)",
                                   kRegion);

class BenchPeersTest : public testing_files::InFolder {
 protected:
  void SetUp() override {
    if (run_in_shell("python3 --version").exit_code != 0) GTEST_SKIP() << "no python3";
    put("x.cfg", kPeersCfg);
  }
  static bool has(const std::string& module) {
    return run_in_shell(cat("python3 -c 'import ", module, "'")).exit_code == 0;
  }
  void put(const std::string& name, const std::string& text) const {
    write_file_atomically(folder_ / name, text);
  }
  Ran run_script(const std::string& arguments) const {
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B '",
                            test::source_dir().string(), "/scripts/bench_peers.py' ", arguments));
  }
  // Runs Python that may import the scripts.
  Ran run_python(const std::string& code) const {
    put("code.py", cat("import sys\nsys.path.insert(0, '", test::source_dir().string(),
                       "/scripts')\nimport network_files as n\n"
                       "from darknet_cfg import plan_layers, read_cfg\n"
                       "image, layers = plan_layers(read_cfg('x.cfg'), None)\n",
                       code));
    return run_in_shell(cat("cd '", folder_.string(), "' && python3 -B code.py"));
  }
};

TEST_F(BenchPeersTest, WritesNcnnsLayers) {
  const Ran ran = run_python("text, names = n.ncnn_param(image, layers)\nprint(text, *names)\n");
  EXPECT_EQ(ran.output, R"(7767517
12 14
Input n0 0 1 data 0=16 1=8 2=3
Convolution n1 1 1 data layer0 0=4 1=3 11=3 2=1 12=1 3=2 13=2 4=1 5=1 6=108 9=2 -23310=1,0.1
Split n2 1 2 layer0 layer0_copy0 layer0_copy1
Pooling n3 1 1 layer0_copy0 layer1 0=0 1=2 11=2 2=1 12=1 3=0 13=0 14=1 15=1 5=1
Crop n4 1 1 layer1 layer2_part0 -23309=1,2 -23310=1,4 -23311=1,0
Interp n5 1 1 layer2_part0 layer3 0=1 1=2.0 2=2.0
Split n6 1 2 layer3 layer3_copy0 layer3_copy1
ConvolutionDepthWise n7 1 1 layer3_copy0 layer4_conv 0=4 1=1 11=1 2=1 12=1 3=1 13=1 4=0 5=1 6=4 7=2
Swish n8 1 1 layer4_conv layer4
Concat n9 2 1 layer4 layer3_copy1 layer5 0=0
Convolution n10 1 1 layer5 layer6 0=7 1=1 11=1 2=1 12=1 3=1 13=1 4=0 5=1 6=42
Convolution n11 1 1 layer0_copy1 layer9 0=14 1=1 11=1 2=1 12=1 3=1 13=1 4=0 5=1 6=56
 layer6 layer9
)");
}

TEST_F(BenchPeersTest, WeightsAreReadAsTheyAreWritten) {
  if (!has("numpy")) GTEST_SKIP() << "no numpy";
  const Ran ran = run_python(R"(
import os
w = n.random_weights(image, layers, 5)
n.write_weights('x.weights', layers, w)
r = n.read_weights('x.weights', image, layers)
print(os.path.getsize('x.weights'), all((r[i][p] == w[i][p]).all() for i in r for p in r[i]))
data = open('x.weights', 'rb').read()
for name, text in ('short', data[:-1]), ('long', data + b'1234'), ('empty', b''):
    open(name, 'wb').write(text)
    try:
        n.read_weights(name, image, layers)
    except n.CfgError as error:
        print(error)
)");
  // Kernels, a bias per filter, three more of batch normalisation; the header is of 20 bytes.
  const int values = 108 + 4 + 42 + 56 + (4 + 4 + 7 + 14) + 3 * (4 + 4 + 14);
  EXPECT_EQ(ran.output, cat(20 + 4 * values, " True\nshort: ends within layer 9\n",
                            "long: 4 bytes more than the network has weights\n"
                            "empty: too short for a weights file\n"));
}

TEST_F(BenchPeersTest, DecodesWhatTheProgramDetects) {
  if (!has("numpy")) GTEST_SKIP() << "no numpy";
  put("x.cfg", kPointwise);
  const Ran ran = run_python(cat(R"(
import numpy, bench_peers as b
net = b.Network('x.cfg', None, '.')
found = b.darknet_detections(')",
                                 test::program().string(), R"(', net)
x = net.bytes.transpose(2, 0, 1) / 255.
def conv(index, x):
    kernel, bias = net.folded[index]
    return numpy.einsum('oc,chw->ohw', kernel[:, :, 0, 0], x) + bias.reshape(-1, 1, 1)
first = conv(0, x)
for change in 0, .02:
    outputs = [first + change, conv(3, first)]
    rows = b.detections(net.heads, outputs, net.image)
    print(rows.shape, b.largest_difference(found, rows) < 1e-5)
first[0, 0, 0] = numpy.nan
print(b.largest_difference(found, b.detections(net.heads, [first, conv(3, first)], net.image)))
)"));
  EXPECT_EQ(ran.output, "(768, 5) True\n(768, 5) False\ninf\n");
}

TEST_F(BenchPeersTest, TheEnginesThatAreInstalledAgree) {
  if (!has("numpy") || !has("onnx")) GTEST_SKIP() << "no numpy, or no onnx";
  const Ran ran = run_script(cat("x.cfg --darknet '", test::program().string(),
                                 "' --batch 2 --threads 1 --rounds 1 --iterations 1"));
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_NE(ran.output.find("| x, 16 x 8 |"), std::string::npos) << ran.output;
}

// One network, darknet and an engine that failed with one of the batches.
constexpr const char* kReport = R"({"machine": {"processor": "P", "instructions": ["avx2"],
"cores": 2, "load": 0.25}, "rounds": 3, "iterations": 10, "tolerance": 0.005, "weights": "random",
"missing": ["openvino"], "failures": ["ncnn, batch 8: exited 1: no memory"], "rows": [
{"cfg": "cfg/a.cfg", "input": [416, 320], "engine": "darknet", "batch": 1, "threads": 1,
 "cpu_ms": 80, "wall_ms": 90, "peak_mib": 100.4, "difference": null, "version": "oneDNN 3"},
{"cfg": "cfg/a.cfg", "input": [416, 320], "engine": "ncnn", "batch": 1, "threads": 1,
 "cpu_ms": 100, "wall_ms": 200, "peak_mib": 50.6, "difference": 0.00002, "version": "1.0"},
{"cfg": "cfg/a.cfg", "input": [416, 320], "engine": "darknet", "batch": 8, "threads": 2,
 "cpu_ms": 80, "wall_ms": 40, "peak_mib": 300, "difference": null, "version": "oneDNN 3"}]})";

TEST_F(BenchPeersTest, PrintsTheTablesOfAReport) {
  put("x.json", kReport);
  const Ran ran = run_script("--table x.json --markdown x.md");
  EXPECT_EQ(ran.output,
            R"(P, 2 cores, avx2; load average 0.2 at the start. f32, random weights. )"
            R"(Medians of 3 rounds of 10 iterations, the engines in turn. In brackets: )"
            R"(divided by darknet's, so above 1 is slower than darknet.

Processor time, ms an image; 1 thread, batch 1:

|  | darknet | ncnn |
| --- | --- | --- |
| a, 416 x 320 | 80.0 | 100.0 (1.25) |

Time, ms an image; 2 threads, batch 8:

|  | darknet | ncnn |
| --- | --- | --- |
| a, 416 x 320 | 40.0 | - |

Peak memory of the process (the others' has Python in it):

| MiB | batch | threads | darknet | ncnn |
| --- | --- | --- | --- | --- |
| a, 416 x 320 | 1 | 1 | 100 | 51 |
| a, 416 x 320 | 8 | 2 | 300 | - |

Probabilities and boxes agree with those of `darknet detect` to 0.005:

|  | version | largest difference from darknet |
| --- | --- | --- |
| darknet | oneDNN 3 | - |
| ncnn | 1.0 | 2.0e-05 |

Not installed: openvino

Failed: ncnn, batch 8: exited 1: no memory
)");
  EXPECT_EQ(read_file(folder_ / "x.md", 1 << 16), ran.output);
  EXPECT_EQ(ran.exit_code, 1);  // an engine failed
}

TEST_F(BenchPeersTest, RefusesWhatItCannotMeasure) {
  const auto expect = [&](const std::string& arguments, int code, const std::string& said) {
    const Ran ran = run_script(arguments);
    EXPECT_EQ(ran.exit_code, code) << ran.output;
    EXPECT_NE(ran.output.find(said), std::string::npos) << ran.output;
    EXPECT_EQ(ran.output.find("Traceback"), std::string::npos) << ran.output;
  };
  expect("--engines tflite", 2, "tflite: expected some of onnxruntime, openvino");
  expect("x.cfg --weights a --weights b", 2, "--weights: expected one for each cfg");
  expect("--table none.json", 1, "none.json");
  put("bad.json", "{");
  expect("--table bad.json", 1, "bad.json: Expecting property name");
  put("bad.json", R"({"rows": []})");
  expect("--table bad.json", 1, "bad.json: not a report of --json");
}

}  // namespace
}  // namespace darknet
