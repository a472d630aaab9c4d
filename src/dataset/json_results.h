// The base of the formats of results that are one JSON array in one file.
#pragma once
#include <string>
#include <vector>

#include "core/streamed_file.h"
#include "dataset/result_writer.h"

namespace darknet {

class JsonResults : public ResultWriter {
 public:
  explicit JsonResults(const std::filesystem::path& file);
  void check_images(const ResultImages&) override;
  void set_classes(const std::vector<std::string>& names) override { names_ = names; }
  // Closes the array, also one without entries.
  void finish() override;
  std::vector<std::filesystem::path> outputs() const override { return {file_.path()}; }

 protected:
  void add_entry(const std::string& json);
  const std::vector<std::string>& names() const { return names_; }  // of the classes

 private:
  StreamedFile file_;
  bool empty_ = true;
  std::vector<std::string> names_;
};

}  // namespace darknet
