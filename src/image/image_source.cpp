#include "image/video.h"

namespace darknet {
namespace {

class ImageSource : public VideoSource {
 public:
  ImageSource(std::vector<std::filesystem::path> paths, double fps)
      : paths_(std::move(paths)), fps_(fps) {}
  VideoFormat format() const override { return {.fps = fps_, .frames = std::ssize(paths_)}; }
  bool read(Image& image) override {
    if (next_ == paths_.size()) return false;
    image = read_image(paths_[next_++]);
    return true;
  }

 private:
  std::vector<std::filesystem::path> paths_;
  double fps_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<VideoSource> image_source(std::vector<std::filesystem::path> paths, double fps) {
  return std::make_unique<ImageSource>(std::move(paths), fps);
}

}  // namespace darknet
