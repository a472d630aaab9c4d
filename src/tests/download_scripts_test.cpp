// scripts/get_weights.sh, get_voc.sh and get_coco.sh with a server on this machine that closes
// connections, knows no ranges or sends a page instead (flaky_server.py); and `darknet weights
// list`.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cfg/parse.h"
#include "cli/published_weights.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "nn/network.h"
#include "paths.h"
#include "shell_command.h"
#include "temporary_folder.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

using test::run_in_shell;
using Ran = test::ShellResult;
using testing_files::holds;

// Of yolov7-tiny.weights: no checksum is known, and it is small.
constexpr std::int64_t kValues = 6241885 * 4;

class DownloadScripts : public testing_files::InFolder {
 protected:
  void SetUp() override {
    if (run_in_shell("python3 --version && curl --version && unzip -v && flock -V").exit_code != 0)
      GTEST_SKIP() << "no python3, curl, unzip or flock";
    fs::create_directories(path("web"));
    const Ran started = run_in_shell(
        cat("python3 -B '", (test::source_dir() / "src/tests/flaky_server.py").string(), "' '",
            path("web"), "' >/dev/null 2>&1 & echo $!"));
    server_ = std::stoi(started.output);
    for (int i = 0; i < 2000 && !fs::exists(path("web/port")); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_TRUE(fs::exists(path("web/port"))) << started.output;
    address_ = cat("http://127.0.0.1:", read_file(path("web/port"), 16));
  }
  void TearDown() override {
    if (server_ > 0) ::kill(server_, SIGTERM);
  }

  std::string path(const fs::path& name) const { return (folder_ / name).string(); }
  std::string get(const fs::path& name) const { return read_file(folder_ / name, 1 << 20); }
  // Environment before the script's name: "DARKNET=..." follows unless given.
  Ran run(const std::string& environment, const std::string& script_and_arguments) const {
    return run_in_shell(cat("cd '", folder_.string(), "' && DARKNET='", test::program().string(),
                            "' ", environment, " '", test::source_dir().string(), "/scripts/",
                            script_and_arguments.substr(0, script_and_arguments.find(' ')), "' ",
                            script_and_arguments.substr(script_and_arguments.find(' ') + 1)));
  }
  Ran get_weights(const std::string& ways, const std::string& arguments) const {
    std::string mirrors;
    std::istringstream words(ways);
    for (std::string way; words >> way;)
      mirrors += cat(mirrors.empty() ? "" : " ", way.starts_with("http") ? way : address_ + way);
    return run(cat("MIRRORS='", mirrors, "'"), "get_weights.sh " + arguments);
  }
  // A program that the scripts find before that of the machine.
  void put_program(const std::string& name, const std::string& script) const {
    fs::permissions(file("bin/" + name, cat("#!/bin/sh\n", script, "\n")), fs::perms::owner_all);
  }
  static constexpr const char* kWithPrograms = "PATH=\"$PWD/bin:$PATH\" ";
  // A .weights file of `values` bytes of zeros after the header of version 0.2, or 0.1.
  void put_weights(const fs::path& name, std::int64_t values, int minor = 2) const {
    std::string header(minor >= 2 ? 20 : 16, '\0');
    header[4] = static_cast<char>(minor);
    fs::resize_file(file(name, header), header.size() + static_cast<std::size_t>(values));
  }
  std::vector<std::string> requests() const {
    std::vector<std::string> lines;
    std::ifstream in(path("web/requests"));
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  bool same(const std::string& a, const std::string& b) const {
    return run_in_shell(cat("cmp '", path(a), "' '", path(b), "'")).exit_code == 0;
  }

  std::string address_;
  int server_ = 0;
};

TEST_F(DownloadScripts, AFileArrivesOverConnectionsThatClose) {
  put_weights("web/yolov7-tiny.weights", kValues);
  const Ran ran = get_weights("/drop/9000000", "yolov7-tiny");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_TRUE(same("yolov7-tiny.weights", "web/yolov7-tiny.weights"));
  EXPECT_FALSE(fs::exists(path("yolov7-tiny.weights.part")));
  const std::string asked = "/drop/9000000/yolov7-tiny.weights ";
  EXPECT_EQ(requests(),
            (std::vector<std::string>{asked + "0", asked + "9000000", asked + "18000000"}));
  EXPECT_EQ(get_weights("/gone", "yolov7-tiny").exit_code, 0) << "it is there already";
}

TEST_F(DownloadScripts, AnInterruptedDownloadIsContinued) {
  put_weights("web/yolov7-tiny.weights", kValues, 1);  // a shorter header
  put_weights("x/yolov7-tiny.weights.part", 1000000 - 16, 1);
  ASSERT_EQ(get_weights("/plain", "yolov7-tiny x").exit_code, 0);
  EXPECT_EQ(requests(), std::vector<std::string>{"/plain/yolov7-tiny.weights 1000000"});
  EXPECT_TRUE(same("x/yolov7-tiny.weights", "web/yolov7-tiny.weights"));
}

TEST_F(DownloadScripts, AServerWithoutRangesSendsAllOfItOnceMore) {
  put_weights("web/yolov7-tiny.weights", kValues);
  put_weights("yolov7-tiny.weights.part", 1000000);
  const Ran ran = get_weights("/whole", "yolov7-tiny");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_TRUE(same("yolov7-tiny.weights", "web/yolov7-tiny.weights"));
}

TEST_F(DownloadScripts, WhatHasArrivedIsKeptUntilThereIsMore) {
  put_weights("web/yolov7-tiny.weights", kValues);
  put_weights("yolov7-tiny.weights.part", 1000000 - 20);
  const auto kept = [&] { return fs::file_size(path("yolov7-tiny.weights.part")); };
  for (const char* ways : {"/page", "/page /gone", "/whole/900000"}) {
    const Ran ran = get_weights(ways, "yolov7-tiny");
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_TRUE(holds(ran.output, "yolov7-tiny.weights.part is kept")) << ran.output;
    EXPECT_EQ(kept(), 1000000u) << ways;
  }
  EXPECT_EQ(get_weights("/whole/2000000", "yolov7-tiny").exit_code, 1);
  EXPECT_EQ(kept(), 2000000u) << "it is longer";
  fs::rename(path("web/yolov7-tiny.weights"), path("web/later"));
  put_weights("web/yolov7-tiny.weights", 3000000 - 20);  // another file, shorter
  EXPECT_EQ(get_weights("/plain", "yolov7-tiny").exit_code, 1);
  EXPECT_EQ(kept(), 2000000u);
  fs::rename(path("web/later"), path("web/yolov7-tiny.weights"));
  const Ran ran = get_weights("/page /whole /plain", "yolov7-tiny");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(requests().back(), "/plain/yolov7-tiny.weights 2000000") << "no other begins again";
  EXPECT_TRUE(same("yolov7-tiny.weights", "web/yolov7-tiny.weights"));
  EXPECT_FALSE(fs::exists(path("yolov7-tiny.weights.whole.part")));
}

// A part of something else, of the right length with the rest, or too long.
TEST_F(DownloadScripts, APartOfAnotherFileIsReplaced) {
  put_weights("web/yolov7-tiny.weights", kValues);
  for (const std::string& other : {std::string(1000, 'x'), std::string(kValues + 100, 'x')}) {
    fs::remove(path("yolov7-tiny.weights"));
    file("yolov7-tiny.weights.part", other);
    const Ran ran = get_weights("/plain", "yolov7-tiny");
    EXPECT_EQ(ran.exit_code, 0) << ran.output;
    EXPECT_TRUE(same("yolov7-tiny.weights", "web/yolov7-tiny.weights"));
  }
}

TEST_F(DownloadScripts, WhatIsNotTheFileNeverTakesItsPlace) {
  put_weights("web/yolov7-tiny.weights", kValues - 4);
  put_program("curl",
              "case $* in\n"
              "  *http://no.invalid*) printf '000 0.000000'; exit 6 ;;\n"
              "  *https://silent.invalid*) echo \"$*\" >secure; printf '000 0.000000'; exit 28 ;;\n"
              "esac\n"
              "PATH=${PATH#*:}\nexec curl \"$@\"");
  put_program("sleep", "");
  std::string mirrors;
  for (const char* way : {"/page", "/plain", "/gone", "/drop/0"})
    mirrors += cat(address_, way, " ");
  const Ran ran = run(cat(kWithPrograms, "MIRRORS='", mirrors,
                          "http://127.0.0.1:1 http://no.invalid https://silent.invalid'"),
                      "get_weights.sh yolov7-tiny");
  EXPECT_EQ(ran.exit_code, 1);
  for (const std::string& said :
       {cat(address_, "/page/yolov7-tiny.weights: it is no weights file"),
        cat("it has ", kValues + 16, " bytes, not the ", kValues + 20, " of cfg/yolov7-tiny.cfg"),
        std::string("the server answers 404"), std::string("the connection ends at byte 0"),
        std::string("http://127.0.0.1:1/yolov7-tiny.weights: nothing answers there"),
        std::string("its name has no address: is this machine online?"),
        std::string("silent.invalid/yolov7-tiny.weights: nothing answers within 20 s")})
    EXPECT_TRUE(holds(ran.output, said)) << said << "\n" << ran.output;
  EXPECT_TRUE(holds(get("secure"), "--proto-redir =https ")) << get("secure");
  EXPECT_FALSE(fs::exists(path("yolov7-tiny.weights")));
  EXPECT_FALSE(fs::exists(path("yolov7-tiny.weights.part"))) << "nothing of it can be continued";
  put_weights("web/yolov7-tiny.weights", kValues);
  EXPECT_EQ(get_weights("/page /plain", "yolov7-tiny").exit_code, 0) << "the next address serves";
}

TEST_F(DownloadScripts, TheChecksumIsCompared) {
  put_weights("web/yolov4-tiny.weights", 6062814 * 4);
  const Ran ran = get_weights("/plain", "yolov4-tiny");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_TRUE(holds(ran.output, "its sha256 sum is ")) << ran.output;
  EXPECT_TRUE(holds(ran.output, ", not cf9fbfd0f6d4869b")) << ran.output;
  EXPECT_FALSE(fs::exists(path("yolov4-tiny.weights")));
  // The right sum, as another program would list it.
  const std::string sum =
      run_in_shell(cat("sha256sum <'", path("web/yolov4-tiny.weights"), "'")).output.substr(0, 64);
  fs::permissions(file("program", cat("#!/bin/sh\nprintf 'file  yolov4-tiny.weights\\ncfg  x.cfg\\n"
                                      "bytes  ",
                                      6062814 * 4, " and more\\nsha256  ", sum, "\\n'\n")),
                  fs::perms::owner_all);
  const Ran right =
      run(cat("MIRRORS=", address_, "/plain DARKNET=./program"), "get_weights.sh yolov4-tiny");
  EXPECT_EQ(right.exit_code, 0) << right.output;
}

TEST_F(DownloadScripts, AFileOfTheUserIsCheckedAndLeftAlone) {
  put_weights("mine", kValues);
  EXPECT_EQ(run("", "get_weights.sh -check mine yolov7-tiny").exit_code, 0);
  const Ran other = run("", "get_weights.sh -check mine yolov3-tiny");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_TRUE(holds(other.output, "of cfg/yolov3-tiny.cfg")) << other.output;
  file("yolov7-tiny.weights", "something else");
  const Ran ran = get_weights("/plain", "yolov7-tiny");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_TRUE(holds(ran.output, "move it away and call again")) << ran.output;
  EXPECT_EQ(get("yolov7-tiny.weights"), "something else");
  EXPECT_TRUE(requests().empty());
}

TEST_F(DownloadScripts, NamesThatCannotBeFetchedSayWhatToDo) {
  const Ran unknown = run("", "get_weights.sh yolov9");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_TRUE(holds(unknown.output, "under the name 'yolov9'; known are: yolov2-tiny-voc, "))
      << unknown.output;
  const Ran browser = run("", "get_weights.sh csdarknet53");
  EXPECT_EQ(browser.exit_code, 1);
  EXPECT_TRUE(
      holds(browser.output, "no direct address of csdarknet53-omega_final.weights is known"))
      << browser.output;
  file("yolov7-tiny.weights.part", "");
  const Ran twice =
      run_in_shell(cat("cd '", folder_.string(), "' && DARKNET='", test::program().string(),
                       "' MIRRORS=", address_, "/plain flock yolov7-tiny.weights.part '",
                       test::source_dir().string(), "/scripts/get_weights.sh' yolov7-tiny"));
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_TRUE(holds(twice.output, "another download writes it")) << twice.output;
}

TEST_F(DownloadScripts, WrongWordsPrintTheUsage) {
  for (const char* script : {"get_weights.sh", "get_voc.sh", "get_coco.sh"})
    for (const char* flag : {"-h", "--help"}) {
      const Ran ran = run("", cat(script, " ", flag, " 2>/dev/null"));
      EXPECT_EQ(ran.exit_code, 0);
      EXPECT_TRUE(ran.output.starts_with(cat("usage: scripts/", script, " "))) << ran.output;
    }
  for (const char* words :
       {"get_weights.sh ", "get_weights.sh -what", "get_weights.sh a b c",
        "get_weights.sh -check mine", "get_voc.sh --what", "get_coco.sh a b", "get_coco.sh /"}) {
    const Ran ran = run("", words);
    EXPECT_EQ(ran.exit_code, 2) << words;
    EXPECT_TRUE(holds(ran.output, "; usage: scripts/get_")) << ran.output;
  }
  put_program("old", "echo 'file  x.weights'");
  const Ran old = run("DARKNET=bin/old", "get_weights.sh yolov4");
  EXPECT_EQ(old.exit_code, 1);
  EXPECT_TRUE(holds(old.output, "tells no file or no bytes")) << old.output;
}

// Archives of a few images in the layout of the real ones, and their list.
constexpr const char* kMakeArchives = R"(
import base64, hashlib, io, json, tarfile, zipfile
PNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAECAIAAAA8r+mnAAAADElEQVR4nGNgoD0AAABkAAGGZDw1AAAAAElFTkSuQmCC')
def voc(name, year, split, ids):
  with tarfile.open('web/' + name, 'w') as t:
    def add(path, text):
      info = tarfile.TarInfo(f'VOCdevkit/VOC{year}/{path}')
      info.size = len(text)
      t.addfile(info, io.BytesIO(text))
    add(f'ImageSets/Main/{split}.txt', '\n'.join(ids).encode())
    for i in ids:
      add(f'JPEGImages/{i}.jpg', PNG)
      add(f'Annotations/{i}.xml', (f'<annotation><filename>{i}.jpg</filename><size><width>8</width>'
        '<height>4</height><depth>3</depth></size><object><name>dog</name><bndbox><xmin>1</xmin>'
        '<ymin>1</ymin><xmax>4</xmax><ymax>2</ymax></bndbox></object></annotation>').encode())
voc('a.tar', 2007, 'trainval', ['000005', '000007'])
voc('b.tar', 2007, 'test', ['000001'])
voc('c.tar', 2012, 'trainval', ['2008_000002'])
splits = ('train2017', 'val2017')
with zipfile.ZipFile('web/annotations.zip', 'w') as z:
  for s in splits:
    z.writestr(f'annotations/instances_{s}.json', json.dumps({
      'images': [{'id': 1, 'file_name': f'{s}.png', 'width': 8, 'height': 4}],
      'annotations': [{'id': 1, 'image_id': 1, 'category_id': 18, 'bbox': [0, 0, 4, 2], 'iscrowd': 0}],
      'categories': [{'id': 1, 'name': 'person'}, {'id': 18, 'name': 'dog'}]}))
for s in splits:
  with zipfile.ZipFile(f'web/{s}.zip', 'w') as z:
    z.writestr(f'{s}/{s}.png', PNG)
for name, files in (('voc', ('a.tar', 'b.tar', 'c.tar')),
                    ('coco', ('annotations.zip', 'train2017.zip', 'val2017.zip'))):
  with open(name + '.list', 'w') as out:
    for f in files:
      data = open('web/' + f, 'rb').read()
      out.write(f'{f} {len(data)} {hashlib.md5(data).hexdigest()} http://no.invalid\n')
)";

class DataScripts : public DownloadScripts {
 protected:
  void SetUp() override {
    DownloadScripts::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    file("make.py", kMakeArchives);
    const Ran made = run_in_shell(cat("cd '", folder_.string(), "' && python3 -B make.py"));
    ASSERT_EQ(made.exit_code, 0) << made.output;
  }
  Ran get_data(const std::string& set, const std::string& way) const {
    return run(cat("ARCHIVES=", set, ".list MIRRORS=", address_, way),
               cat("get_", set, ".sh data/", set));
  }
  std::int64_t lines_in(const fs::path& name) const {
    const std::string text = get(name);
    return std::count(text.begin(), text.end(), '\n');
  }
};

TEST_F(DataScripts, VocBecomesLists) {
  fs::rename(path("web/b.tar"), path("web/later"));
  const Ran part = get_data("voc", "/plain");
  EXPECT_EQ(part.exit_code, 1);
  EXPECT_TRUE(holds(part.output, "b.tar: the server answers 404")) << part.output;
  EXPECT_FALSE(fs::exists(path("data/voc")));
  fs::rename(path("web/later"), path("web/b.tar"));
  const Ran ran = get_data("voc", "/drop/3000");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(lines_in("data/voc/trainval.txt"), 3);
  EXPECT_EQ(lines_in("data/voc/test.txt"), 1);
  EXPECT_EQ(get("data/voc/labels/VOC2007/000001.txt").substr(0, 3), "11 ");
  const auto all = requests();
  EXPECT_EQ(std::ranges::count(all, "/plain/a.tar 0"), 1);
  EXPECT_EQ(std::ranges::count(all, "/drop/3000/a.tar 0"), 0) << "it was unpacked already";
  EXPECT_EQ(get_data("voc", "/gone").exit_code, 0) << "it is there already";
  fs::remove(path("data/voc/voc.data"));  // as an interrupted import leaves it
  fs::remove(path("data/voc/test.txt"));
  const Ran again =
      run(cat("ARCHIVES=voc.list MIRRORS=", address_, "/gone"), "get_voc.sh data/voc//");
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_TRUE(fs::exists(path("data/voc/voc.data")));
  EXPECT_EQ(lines_in("data/voc/test.txt"), 1);
}

TEST_F(DataScripts, WhatCannotWorkIsRefusedBeforeTheDownload) {
  file("data/voc/mine.txt", "x");
  const Ran full = get_data("voc", "/plain");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_TRUE(holds(full.output, "data/voc: is not empty")) << full.output;
  put_program("df", "printf 'head\\ndisk 9 9 1 9%% /\\n'");
  const Ran room = run(cat(kWithPrograms, "ARCHIVES=coco.list MIRRORS=", address_, "/plain"),
                       "get_coco.sh data/coco");
  EXPECT_EQ(room.exit_code, 1);
  EXPECT_TRUE(holds(room.output, "must be free there")) << room.output;
  EXPECT_TRUE(requests().empty());
}

TEST_F(DataScripts, CocoBecomesLists) {
  const Ran ran =
      run(cat("ARCHIVES=coco.list MIRRORS=", address_, "/plain"), "get_coco.sh data/coco/");
  ASSERT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_EQ(lines_in("data/coco/train2017.txt"), 1);
  EXPECT_EQ(lines_in("data/coco/val2017.txt"), 1);
  EXPECT_EQ(get("data/coco/labels/val2017/val2017.txt").substr(0, 2), "1 ");
  EXPECT_TRUE(holds(get("data/coco/coco.data"), "data/coco/val2017.txt"));
}

TEST_F(DataScripts, ADamagedArchiveIsRefused) {
  std::fstream(path("web/c.tar"), std::ios::in | std::ios::out | std::ios::binary)
      .seekp(600)
      .put('!');
  const Ran ran = get_data("voc", "/plain");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_TRUE(holds(ran.output, "c.tar: its md5 sum is ")) << ran.output;
  EXPECT_FALSE(fs::exists(path("data/voc")));
}

// The sizes in bytes of files that were downloaded from their authors.
TEST(PublishedWeights, HaveTheSizeOfTheirNetwork) {
  const std::pair<const char*, std::int64_t> known[] = {
      {"yolov2-tiny-voc", 63471556},    {"yolov2-voc", 202704260},
      {"yolov3-tiny", 35434956},        {"yolov3", 248007048},
      {"yolov4-tiny", 24251276},        {"yolov4", 257717640},
      {"darknet53.conv.74", 162482580}, {"yolov4.conv.137", 170038676}};
  for (const auto& [name, bytes] : known) {
    const std::int64_t header = bytes - cli::published_weights(name).bytes_of_values;
    EXPECT_TRUE(header == 16 || header == 20) << name << " " << header;
  }
  for (const cli::PublishedWeights& w : cli::published_weights()) {
    const log::WithoutWarnings quiet;  // about keys of a training
    const Network net(read_cfg(test::source_dir() / "cfg" / cat(w.cfg, ".cfg")),
                      {.width = 64, .height = 64});
    std::int64_t values = 0;
    for (const Parameter* p : net.parameters(w.layers ? w.layers : -1)) values += p->value.size();
    EXPECT_EQ(w.bytes_of_values, 4 * values) << w.name;
  }
}

TEST(PublishedWeights, BackbonesAreThoseOfTheTrainingPage) {
  const std::string page = read_file(test::source_dir() / "docs/training.md", 1 << 20);
  const auto begin = page.find("| backbone | for |"), end = page.find("\n\n", begin);
  ASSERT_NE(end, page.npos);
  const std::string table = page.substr(begin, end - begin);
  std::int64_t backbones = 0;
  for (const cli::PublishedWeights& w : cli::published_weights()) {
    if (w.layers == 0) continue;
    ++backbones;
    EXPECT_TRUE(holds(table, cat('`', w.name, '`'))) << w.name;
  }
  EXPECT_EQ(std::ranges::count(table, '`'), 2 * backbones) << table;
}

TEST(PublishedWeights, AreComplete) {
  std::vector<std::string_view> names;
  for (const cli::PublishedWeights& w : cli::published_weights()) {
    SCOPED_TRACE(w.name);
    EXPECT_EQ(std::ranges::count(names, w.name), 0);
    names.push_back(w.name);
    EXPECT_TRUE(fs::exists(test::source_dir() / "cfg" / cat(w.cfg, ".cfg")));
    EXPECT_NE(w.urls.empty(), w.page.empty());
    EXPECT_EQ(w.accuracy.empty(), w.source.empty());
    EXPECT_EQ(w.licence == "GPL-3.0", w.name.starts_with("yolov7"));
    EXPECT_TRUE(w.sum.empty() || w.sum.size() == 40 || w.sum.size() == 64);
    EXPECT_EQ(w.sum.find_first_not_of("0123456789abcdef"), w.sum.npos);
    std::istringstream urls{std::string(w.urls)};
    for (std::string url; urls >> url;)
      EXPECT_TRUE(url.starts_with("https://") && url.ends_with(cat("/", w.file))) << url;
  }
  // Each cfg says what its files are called.
  for (const cli::PublishedWeights& w : cli::published_weights()) {
    const std::string cfg =
        read_file(test::source_dir() / "cfg" / cat(w.cfg, ".cfg"), 1 << 20).substr(0, 1000);
    EXPECT_TRUE(holds(cfg, std::string(w.file))) << w.file;
  }
}

TEST(PublishedWeights, AreListed) {
  const Ran all = run_in_shell(cat("'", test::program().string(), "' weights list"));
  ASSERT_EQ(all.exit_code, 0) << all.output;
  for (const cli::PublishedWeights& w : cli::published_weights())
    EXPECT_TRUE(holds(all.output, cat("\n", w.name, " "))) << w.name;
  EXPECT_TRUE(holds(all.output, "608x608"));
  const Ran one =
      run_in_shell(cat("'", test::program().string(), "' weights list yolov4.conv.137"));
  EXPECT_TRUE(holds(one.output, "layers     137, a backbone\n")) << one.output;
  EXPECT_TRUE(holds(one.output, "bytes      170038656 and a header")) << one.output;
}

}  // namespace
}  // namespace darknet
