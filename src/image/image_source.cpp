#include <utility>

#include "image/video.h"

namespace darknet {
namespace {

class ImageSource : public VideoSource {
 public:
  ImageSource(std::size_t images, std::function<Image(std::size_t)> read, double fps)
      : images_(images), read_(std::move(read)), fps_(fps) {}
  VideoFormat format() const override {
    return {.fps = fps_, .frames = static_cast<std::int64_t>(images_)};
  }
  bool read(Image& image) override {
    if (next_ == images_) return false;
    image = read_(next_++);
    return true;
  }

 private:
  std::size_t images_, next_ = 0;
  std::function<Image(std::size_t)> read_;
  double fps_;
};

}  // namespace

std::unique_ptr<VideoSource> image_source(std::size_t images,
                                          std::function<Image(std::size_t)> read, double fps) {
  return std::make_unique<ImageSource>(images, std::move(read), fps);
}

}  // namespace darknet
