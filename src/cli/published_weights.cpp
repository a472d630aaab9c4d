#include "cli/published_weights.h"

#include <string>

#include "core/error.h"

namespace darknet::cli {
namespace {

#define PJREDDIE(file) \
  "https://data.pjreddie.com/files/" file " https://pjreddie.com/media/files/" file
#define ALEXEYAB(tag, file) "https://github.com/AlexeyAB/darknet/releases/download/" tag "/" file
#define HANK_AI(file) "https://github.com/hank-ai/darknet/releases/download/v2.0/" file

constexpr const char* kYolo = "YOLO";    // of the repositories of Redmon and AlexeyAB
constexpr const char* kGpl = "GPL-3.0";  // of WongKinYiu/yolov7, though AlexeyAB has the files too
constexpr const char* kReadme = "AlexeyAB's README, COCO";
constexpr const char* kYolov7 = "arXiv:2207.02696, table 1, COCO val";
constexpr const char* kImagenet = "pjreddie.com/darknet/imagenet";
constexpr const char* kReleases = "https://github.com/AlexeyAB/darknet/releases";

// The SHA-256 are those that several unrelated projects check; the SHA-1 those of OpenCV
// (testdata/dnn/download_models.py of opencv_extra).
constexpr PublishedWeights kWeights[] = {
    {"yolov2-tiny-voc", "yolov2-tiny-voc", 0, 63471540, "yolov2-tiny-voc.weights", kYolo,
     "VOC 2007+2012", "57.1 % mAP@.5", "pjreddie.com/darknet/yolov2, VOC 2007 test",
     "24b4bd049fc4fa5f5e95f684a8967e65c625dff9", PJREDDIE("yolov2-tiny-voc.weights"), ""},
    {"yolov2-voc", "yolov2-voc", 0, 202704244, "yolo-voc.weights", kYolo, "VOC 2007+2012",
     "76.8 % mAP@.5", "arXiv:1612.08242, table 3, VOC 2007 test",
     "1cc1a7f8ad12d563d85b76e9de025dc28ac397bb", PJREDDIE("yolo-voc.weights"), ""},
    {"yolov3-tiny", "yolov3-tiny", 0, 35434936, "yolov3-tiny.weights", kYolo, "COCO",
     "33.1 % mAP@.5", kReadme, "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
     PJREDDIE("yolov3-tiny.weights") " " HANK_AI("yolov3-tiny.weights"), ""},
    {"yolov3", "yolov3", 0, 248007028, "yolov3.weights", kYolo, "COCO", "55.3 % mAP@.5", kReadme,
     "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297", PJREDDIE("yolov3.weights"),
     ""},
    {"yolov3-spp", "yolov3-spp", 0, 252209524, "yolov3-spp.weights", kYolo, "COCO", "60.6 % mAP@.5",
     kReadme, "87a1e8c85c763316f34e428f2295e1db9ed4abcec59dd9544f8052f50de327b4",
     PJREDDIE("yolov3-spp.weights"), ""},
    {"gaussian_yolov3", "gaussian_yolov3", 0, 246585388, "Gaussian_yolov3_BDD.weights", "",
     "BDD100K", "", "", "", "",
     "https://drive.google.com/open?id=1Eutnens-3z6o4LYe0PZXJ1VYNwcZ6-2Y"},
    {"yolov4-tiny", "yolov4-tiny", 0, 24251256, "yolov4-tiny.weights", kYolo, "COCO",
     "40.2 % mAP@.5", kReadme, "cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
     ALEXEYAB("darknet_yolo_v4_pre", "yolov4-tiny.weights") " " HANK_AI(
         "yolov4-tiny.weights") " " ALEXEYAB("yolov4", "yolov4-tiny.weights"),
     ""},
    {"yolov4", "yolov4", 0, 257717620, "yolov4.weights", kYolo, "COCO", "65.7 % mAP@.5", kReadme,
     "e8a4f6c62188738d86dc6898d82724ec0964d0eb9d2ae0f0a9d53d65d108d562",
     ALEXEYAB("darknet_yolo_v3_optimal", "yolov4.weights") " " ALEXEYAB("yolov4", "yolov4.weights"),
     ""},
    {"yolov4-csp", "yolov4-csp", 0, 211944820, "yolov4-csp.weights", kYolo, "COCO", "64.8 % mAP@.5",
     kReadme, "", ALEXEYAB("darknet_yolo_v4_pre", "yolov4-csp.weights"), ""},
    {"yolov7-tiny", "yolov7-tiny", 0, 24967540, "yolov7-tiny.weights", kGpl, "COCO",
     "52.8 % mAP@.5", kYolov7, "", ALEXEYAB("yolov4", "yolov7-tiny.weights"), ""},
    {"yolov7", "yolov7", 0, 147898228, "yolov7.weights", kGpl, "COCO", "69.7 % mAP@.5", kYolov7, "",
     ALEXEYAB("yolov4", "yolov7.weights"), ""},
    {"darknet19", "darknet19", 0, 83427104, "darknet19.weights", kYolo, "ImageNet",
     "72.9 % top-1, 91.2 % top-5", kImagenet, "", PJREDDIE("darknet19.weights"), ""},
    {"darknet53", "darknet53", 0, 166582560, "darknet53.weights", kYolo, "ImageNet",
     "77.2 % top-1, 93.8 % top-5", kImagenet, "", PJREDDIE("darknet53.weights"), ""},
    {"csdarknet53", "csdarknet53", 0, 110710048, "csdarknet53-omega_final.weights", "", "ImageNet",
     "78.7 % top-1, 94.8 % top-5", "arXiv:2004.10934, table 3", "", "",
     "https://drive.google.com/open?id=18jCwaL4SJ-jOvXrZNGHJ5yz44g9zi8Hm"},
    {"darknet19_448.conv.23", "darknet19", 23, 79327104, "darknet19_448.conv.23", kYolo, "ImageNet",
     "", "", "", PJREDDIE("darknet19_448.conv.23"), ""},
    {"darknet53.conv.74", "darknet53", 74, 162482560, "darknet53.conv.74", kYolo, "ImageNet", "",
     "", "", PJREDDIE("darknet53.conv.74"), ""},
    {"yolov4-tiny.conv.29", "yolov4-tiny", 29, 19789696, "yolov4-tiny.conv.29", kYolo, "COCO", "",
     "", "", ALEXEYAB("darknet_yolo_v4_pre", "yolov4-tiny.conv.29"), ""},
    {"yolov4.conv.137", "yolov4", 137, 170038656, "yolov4.conv.137", kYolo, "COCO", "", "", "",
     ALEXEYAB("darknet_yolo_v3_optimal", "yolov4.conv.137") " " ALEXEYAB("yolov4",
                                                                         "yolov4.conv.137"),
     ""},
    {"yolov4-csp.conv.142", "yolov4-csp", 142, 146548096, "yolov4-csp.conv.142", kYolo, "COCO", "",
     "", "", ALEXEYAB("darknet_yolo_v4_pre", "yolov4-csp.conv.142"), ""},
    {"yolov7-tiny.conv.87", "yolov7-tiny", 87, 17843072, "yolov7-tiny.conv.87", kGpl, "COCO", "",
     "", "", "", kReleases},
    {"yolov7.conv.132", "yolov7", 132, 121266048, "yolov7.conv.132", kGpl, "COCO", "", "", "",
     ALEXEYAB("yolov4", "yolov7.conv.132"), ""}};

#undef PJREDDIE
#undef ALEXEYAB
#undef HANK_AI

}  // namespace

std::span<const PublishedWeights> published_weights() { return kWeights; }

const PublishedWeights& published_weights(std::string_view name) {
  std::string names;
  for (const PublishedWeights& w : kWeights) {
    if (w.name == name) return w;
    names += cat(names.empty() ? "" : ", ", w.name);
  }
  fail("no published weights are known under the name '", name, "'; known are: ", names);
}

}  // namespace darknet::cli
