// Readers of labels, images, results, annotations, shards, .data files and training logs.
#include <algorithm>
#include <cmath>
#include <set>

#include "annotation/formats.h"
#include "cfg/data_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/sha256.h"
#include "core/tar_headers.h"
#include "core/tar_shard.h"
#include "core/text.h"
#include "dataset/detection_files.h"
#include "dataset/labels.h"
#include "dataset/pack.h"
#include "dataset/shard_sums.h"
#include "image/codec.h"
#include "image/decoder_messages.h"
#include "image/file_check.h"
#include "image/image.h"
#include "image/image_size.h"
#include "report/training_chart.h"
#include "tests/fuzz/reader_inputs.h"
#include "tests/image_bytes.h"
#include "tests/image_samples.h"
#include "tests/written_results.h"

namespace darknet::testing_fuzz {
namespace {
namespace fs = std::filesystem;

std::vector<std::string> label_samples() {
  return {"0 .5 .5 .25 .25\n1 0.1 0.2 0.05 0.1\n2 .9 .9 .1 .1\n", "",
          "\xEF\xBB\xBF 2\t.5 .5 1 1\r\n\r\n0 .9 .5 .2005 .2"};
}

void read_label_bytes(const std::string& text) {
  std::string first;
  const Labels labels = parse_labels(text, 3, [&](int line, const std::string& why) {
    require(line > 0 && !why.empty(), "a report without line or reason");
    if (first.empty()) first = cat("x.txt:", line, ": ", why);
  });
  for (const Truth& t : labels.truths) {
    const Box& b = t.box;
    require(t.class_id >= 0 && t.class_id < 3, "a class out of range");
    require(b.w > 0 && b.h > 0 && b.w <= 1 && b.h <= 1, "a box without a sound extent");
    require(b.x >= 0 && b.x <= 1 && b.y >= 0 && b.y <= 1, "a box outside of the image");
  }
  if (!first.empty()) fail(first);
}

std::vector<std::string> image_samples() {
  using namespace testing_images;
  const std::string jpeg = encode(noise(24, 17, 3), ".jpg");
  std::vector<std::string> all{jpeg, with_exif(jpeg, 6, true), with_exif(jpeg, 3, false)};
  for (const char* extension : {".png", ".bmp"}) all.push_back(encode(noise(24, 17, 3), extension));
  all.push_back(encode(noise(9, 5, 1), ".jpg"));
  all.push_back(png(2, 2, 16, kPngRgba, std::string(32, '\x7F')));
  all.push_back(png(3, 1, 8, kPngGreyAlpha, "abcdef"));
  all.push_back("P6 2 2 255\nabcdefghijkl");
  all.push_back("P5 3 2 255\nabcdef");
  const std::string values = bytes_of_values(std::vector<std::uint16_t>(2 * 3 * 5, 4095));
  all.push_back(npy("<u2", "(2, 3, 5)", values));
  all.push_back(npy("<f4", "(3, 5)", values));
  all.push_back(npy("|u1", "(3, 4, 5)", values));
  all.push_back(tiff_of_samples(3, 2, 5, 16, {values}));
  all.push_back(tiff_of_samples(5, 3, 1, 32, {values}));
  all.push_back(tiff_of_samples(3, 5, 2, 8, {values.substr(0, 30), values.substr(30)}));
  return all;
}

void read_image_bytes(const std::string& bytes) {
  constexpr std::int64_t kMaxPixels = 1 << 20;
  soundness(bytes);
  const int orientation = exif_orientation(bytes);
  require(orientation >= 1 && orientation <= 8, "an orientation out of range");
  const ImageSize size = image_size(bytes);
  require(size.width >= 0 && size.height >= 0, "a negative size");
  if (size.width > kMaxPixels || size.height > kMaxPixels || size.width * size.height > kMaxPixels)
    return;  // accepted up to 2^28, at a second each
  for (const std::int64_t channels : {0, 1, 2, 3, 4, 5}) {
    try {
      const Image values = decode_input(bytes, "x", {.channels = channels});
      require(values.channels > 0 && (channels == 0 || values.channels == channels),
              "other channels than those that are wanted");
      require(values.pixels.size() ==
                  to_size(values.width * values.height * values.channels * values.depth),
              "values that are not as many as the size says");
    } catch (const Error&) {
      if (channels == 0) throw;  // else it may have another number of them
    }
  }
  for (const std::int64_t channels : {1, 3}) {
    const Image image = decode_image(bytes, "x", channels);
    require(image.channels == channels && image.width > 0 && image.height > 0, "an empty image");
    require(image.pixels.size() == to_size(image.width * image.height * image.channels),
            "pixels that are not as many as the size says");
  }
  const Rect wanted{size.width / 3, size.height / 3, size.width / 2 + 1, size.height / 2 + 1};
  const ImagePart part = decode_image_part(bytes, "x", 3, {2, wanted});
  const Rect& at = part.part;
  require(at.x0 >= 0 && at.y0 >= 0 && at.x1 <= part.width && at.y1 <= part.height,
          "a part that lies outside of its image");
  require(part.image.width == at.x1 - at.x0 && part.image.height == at.y1 - at.y0,
          "a part of another size than it says");
}

// jpeg: whoever decodes the Huffman codes, the pixels are the same.

std::vector<std::string> jpeg_samples() {
  using namespace testing_images;
  return {from_hex(kBaseline),  from_hex(kProgressive),           from_hex(kRestarts),
          from_hex(kHalfWidth), encode(noise(40, 23, 3), ".jpg"), encode(noise(9, 17, 1), ".jpg")};
}

void read_jpeg_bytes(const std::string& bytes) {
  constexpr std::int64_t kMaxPixels = 1 << 18, kMaxScans = 20;
  const ImageSize size = image_size(bytes);
  const Soundness sound = soundness(bytes);
  if (size.width * size.height > kMaxPixels || sound.scans > kMaxScans || !sound.sound_tables)
    fail("is not decoded");
  const DecoderMessages quiet;
  for (const int reduction : {1, 2, 4, 8}) {
    const auto expected = decode_jpeg(bytes, reduction, HuffmanBy::libjpeg);
    const auto got = decode_jpeg(bytes, reduction);
    require(got.has_value() == expected.has_value(), "a JPEG that only one of them decodes");
    if (!got) fail("is no JPEG, or has other colours");
    require(got->width == expected->width && got->height == expected->height, "another size");
    require(got->pixels == expected->pixels, "other pixels than by libjpeg");
    const HuffmanBy own = HuffmanBy::own;
    const auto alone = decode_jpeg(bytes, reduction, own);  // width 0 where it is left to libjpeg
    require(alone->width == 0 || alone->pixels == expected->pixels, "other pixels by itself");
    if (got->width == 0) fail("is damaged");
  }
}

// COCO's JSON, or a VOC file where it does not begin like JSON.
const ImageSet& image_set() {
  static const ImageSet set{.images = {"a_1.png", "images/b_2.png", "c_3.png"},
                            .sizes = {{64, 48}, {10, 10}, {1, 1}},
                            .names = {"red", "green"}};
  return set;
}

std::vector<std::string> detection_samples() {
  const std::vector<std::vector<Detection>> found{
      {{{.5f, .5f, .25f, .5f}, 1, .9f, .8f}, {{.25f, .5f, .5f, .5f}, 0, 1, .25f}},
      {},
      {{{.5f, .5f, 1, 1}, 1, 1, 1}}};
  return {test::coco_results(image_set(), found), test::voc_results(image_set(), found, 1),
          "[{\"file_name\": \"b_2.png\", \"category_id\": 2, \"bbox\": [1, 2, 3.5, 4e0], "
          "\"score\": 0.5, \"more\": {\"a\": [null, true, \"\\u00e9\\\"\"]}}]"};
}

void read_detection_bytes(const std::string& bytes) {
  const auto first = bytes.find_first_not_of(" \t\r\n");
  const bool json =
      first == bytes.npos || std::string_view("[{\"").find(bytes[first]) != std::string_view::npos;
  const FiledDetections read =
      read_detections(scratch_file(json ? "x.json" : "x_green.txt", bytes), image_set());
  std::int64_t n = 0;
  for (const auto& of_image : read.images)
    for (const Detection& d : of_image) {
      ++n;
      require(d.class_id >= 0 && d.class_id < 2, "a class out of range");
      require(std::isfinite(d.probability) && std::isfinite(d.box.x) && std::isfinite(d.box.w) &&
                  d.box.w >= 0 && d.box.h >= 0,
              "a detection's numbers");
    }
  require(n == read.detections, "detections are miscounted");
}

// annotations: the first line says what the file is called, the rest is the file. It lies next to
// one image.

std::vector<std::string> annotation_samples() {
  const std::string coco =
      R"({"images":[{"id":1,"file_name":"a.ppm","width":4,"height":2}],"categories":[{"id":3,)"
      R"("name":"cat"}],"annotations":[{"id":1,"image_id":1,"category_id":3,"bbox":[1,0,2,1],)"
      R"("segmentation":[[1,2,3]],"iscrowd":0}]})";
  return {// NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one text over three lines
          "a.xml\n<annotation><filename>a.ppm</filename><size><width>4</width><height>2</height>"
          "</size>\n<object><name>cat</name><difficult>1</difficult><bndbox><xmin>1</xmin>"
          "<ymin>1</ymin><xmax>3</xmax><ymax>2</ymax></bndbox></object></annotation>\n",
          "x.xml\n<annotations><meta><task><labels><label><name>cat</name></label></labels></task>"
          "</meta>\n<image id=\"0\" name=\"a.ppm\" width=\"4\" height=\"2\"><box label=\"cat\" "
          "xtl=\"0\" "
          "ytl=\"0\" xbr=\"2\" ybr=\"1\" rotation=\"30\"/><polygon label=\"cat\" "
          "points=\"0,0;2,1;1,2\"/>"
          "</image></annotations>\n",
          "x.json\n" + coco + "\n",
          "x.csv\nfilename,width,height,class,xmin,ymin,xmax,ymax\na.ppm,4,2,\"a "
          "\"\"cat\"\"\",0,0,2,1\n",
          "x.csv\na.ppm,0,0,2,1,cat\na.ppm,,,,,\n",
          "data.yaml\ntrain: .\nnames:\n  0: cat\n  1: 'dog'\nnc: 2\n",
          "a.txt\n0 .5 .5 .25 .5\n1 .1 .1 .5 .1 .5 .9\n"};
}

void read_annotation_bytes(const std::string& bytes) {
  const auto end = std::min(bytes.find('\n'), bytes.size());
  const std::string name = bytes.substr(0, end);
  static const std::set<std::string> names = {"a.xml", "x.xml",     "x.json",
                                              "x.csv", "data.yaml", "a.txt"};
  if (!names.contains(name)) fail("no file of annotations is called so");
  static const fs::path image = scratch_file("set/a.ppm", "P6 4 2 255\n" + std::string(24, 'x'));
  const fs::path folder = image.parent_path();
  for (const std::string& other : names) remove_file(folder / other);
  scratch_file(fs::path("set") / name, bytes.substr(std::min(end + 1, bytes.size())));
  const SourceFolder source(folder);
  const AnnotatedSet set =
      annotation_format("auto", source)
          .read(source, name == "a.txt" ? std::vector<std::string>{"cat", "dog"}
                                        : std::vector<std::string>{});
  require(!set.images.empty() && !set.classes.empty(), "a set without images or classes");
  for (const AnnotatedImage& image : set.images)
    for (const AnnotatedObject& o : image.objects) {
      require(o.class_id >= 0 && o.class_id < std::ssize(set.classes), "no such class");
      require(o.w > 0 && o.h > 0 && o.x - o.w / 2 > -1e-6 && o.x + o.w / 2 < 1 + 1e-6 &&
                  o.y - o.h / 2 > -1e-6 && o.y + o.h / 2 < 1 + 1e-6,
              "a box outside of the image");
    }
}

std::vector<std::string> shard_samples() {
  const auto tar = [](const std::vector<std::pair<std::string, std::string>>& members) {
    const fs::path file = scratch_file("sample.tar", "");
    TarWriter writer(file);
    for (const auto& [name, contents] : members) writer.add(name, contents);
    writer.commit();
    return read_file(file, 1 << 20);
  };
  // The last one needs headers of its own for its long name.
  return {tar({{"1.jpg", "x"}, {"1.txt", "0 .5 .5 .1 .1\n"}}),
          tar({{"images/a.png", std::string(700, 'x')}, {"labels/a.txt", ""}}),
          tar({{cat(std::string(150, 'd'), "/\xC3\xA4.txt"), "l"}, {"2.jpg", "y"}})};
}

void read_shard_bytes(const std::string& bytes) {
  const std::string file = scratch_file("x.tar", bytes).string();
  const TarShard shard(file);
  require(shard.by_name().size() == shard.size(), "members without a place in their order");
  for (std::size_t i = 0; i < shard.size(); ++i) {
    const auto place = shard.find(shard.member(i));
    require(place.has_value(), "a member that is not found by its name");
    require(place->offset <= bytes.size() && place->bytes <= bytes.size() - place->offset,
            "a member beyond the end");
    std::string contents(place->bytes, '\0');
    place->source->read(place->offset, contents.data(), contents.size());
  }
}

std::vector<std::string> shard_name_samples() {
  return {"train-{000000..000012}.tar", "{a,b}/{1..2}.tar", "http://h/x.tar", "{}.tar", "}.tar"};
}

void read_shard_name_bytes(const std::string& bytes) {
  constexpr std::size_t kMaxText = 200;  // of which there may be a million names
  if (bytes.size() > kMaxText) fail("too long a name");
  const std::vector<std::string> names = shard_names(bytes);
  if (names.empty()) fail("no name of shards");
  for (const std::string& name : names)
    require(is_shard_name(name), "the name of a shard that is none");
}

// shard_sums: the checksums next to one shard.

constexpr const char* kSummedShard = "not read as a tar";

std::vector<std::string> shard_sums_samples() {
  Sha256 sum;
  sum.add(kSummedShard, std::string_view(kSummedShard).size());
  const std::string own = sum.hex() + "  x.tar\n", other = std::string(64, 'A') + " *y.tar\r\n";
  return {own, other + "\n" + own + other};
}

void read_shard_sums_bytes(const std::string& bytes) {
  static const fs::path shard = scratch_file("sums/x.tar", kSummedShard);
  scratch_file(fs::path("sums") / kShardSums, bytes);
  std::string first;
  const auto report = [&](const std::string& m) { first = first.empty() ? m : first; };
  const std::int64_t errors = check_shards({shard.string()}, report, [] { return false; });
  require((errors > 0) == !first.empty(), "errors that were not reported");
  if (errors > 0) fail(first);
}

// data_files: the first line says what the file is called, as of annotations.

std::vector<std::string> data_file_samples() {
  return {
      "x.data\n# a set\nclasses = 2\ntrain=a.txt\nvalid = t-{0..3}.tar\nnames=x.names\n"
      "backup=b\ntop=2\neval=coco\n",
      "x.names\ncat\ndog\n",
      "data.yaml\npath: .\ntrain: images\nval: ../v.txt\nnames:\n  0: cat\n  1: 'dog'\nnc: 2\n",
      "data.yaml\nnames: [&a cat, dog]\nmore: {a: *a}\n"};
}

void read_data_file_bytes(const std::string& bytes) {
  const auto end = std::min(bytes.find('\n'), bytes.size());
  const std::string name = bytes.substr(0, end),
                    text = bytes.substr(std::min(end + 1, bytes.size()));
  if (name != "x.data" && name != "x.names" && name != "data.yaml") fail("no such file");
  if (text.find_first_of("*?") != text.npos && name == "x.data")
    fail("a pattern");  // of any folder
  const fs::path file = scratch_file(fs::path("set") / name, text);
  if (name != "x.names") {
    const DataFile data = read_data_file(file);
    require(data.classes >= 0 && data.top > 0 && data.save_weights >= 0, "a number out of range");
  }
  if (name == "x.data") return;
  for (const std::string& class_name : read_names(file, 0))
    require(!class_name.empty(), "a class without a name");
}

// training_log

std::vector<std::string> training_log_samples() {
  const std::string one =
      R"({"iteration":1,"loss":2.5,"average_loss":2.5,"learning_rate":0.001,"images_per_second":9,)"
      R"("load_seconds":0.1,"step_seconds":0.5,"map":null,"heads":[{"layer":16,"positives":3},)"
      R"({"layer":23,"positives":0}]})";
  return {
      one + "\n", one + "\n{\"iteration\":2,\"loss\":1e-3,\"map\":0.5,\"heads\":[]}\n" + one + "\n",
      "{\"iteration\":5,\"loss\":1,\"top1\":0.5,\"topk\":0.75,\"top\":2,\"losses\":[{}]}\n{\"iter"};
}

void read_training_log_bytes(const std::string& bytes) {
  const TrainingHistory history = read_history(scratch_file("x_log.jsonl", bytes));
  require(history.loss.size() == history.iteration.size(), "values without an iteration");
  for (const HeadHistory& head : history.heads)
    for (const TelemetryFigure& f : kTelemetryFigures)
      require(head.figures[f.figure].size() == history.iteration.size(), "figures of a head");
  to_svg(training_chart(history));
  to_svg(comparison_chart({history, history}));
}

}  // namespace

std::vector<FuzzedReader> data_readers() {
  std::vector<FuzzedReader> all{
      {"labels", label_samples, read_label_bytes, 6000},
      {"images", image_samples, read_image_bytes, 300},
      {"detections", detection_samples, read_detection_bytes, 3000},
      {"annotations", annotation_samples, read_annotation_bytes, 500},
      {"shard_names", shard_name_samples, read_shard_name_bytes, 1000},
      {"data_files", data_file_samples, read_data_file_bytes, 500},
      {"training_log", training_log_samples, read_training_log_bytes, 300}};
  if (reduces_jpeg()) all.push_back({"jpeg", jpeg_samples, read_jpeg_bytes, 300});
  if (!reads_shards()) return all;
  all.push_back({"shards", shard_samples, read_shard_bytes, 300});
  all.push_back({"shard_sums", shard_sums_samples, read_shard_sums_bytes, 300});
  return all;
}

}  // namespace darknet::testing_fuzz
