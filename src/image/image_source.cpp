#include <utility>

#include "core/byte_source.h"
#include "core/error.h"
#include "core/log.h"
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
    while (next_ < images_) try {
        image = read_(next_++);
        return true;
      } catch (const SourceFailure&) {
        throw;  // the whole shard or server is gone
      } catch (const Error& e) {
        if (images_ == 1) throw;
        log::warn(cat(e.what(), "; this image is skipped"));
        ++skipped_;
      }
    return false;
  }
  std::int64_t skipped() const override { return skipped_; }

 private:
  std::size_t images_, next_ = 0;
  std::function<Image(std::size_t)> read_;
  double fps_;
  std::int64_t skipped_ = 0;
};

}  // namespace

std::unique_ptr<VideoSource> image_source(std::size_t images,
                                          std::function<Image(std::size_t)> read, double fps) {
  return std::make_unique<ImageSource>(images, std::move(read), fps);
}

}  // namespace darknet
