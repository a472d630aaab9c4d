// XML with the place of every element, for messages. Around pugixml.
#pragma once
#include <filesystem>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace darknet {

class XmlFile {
 public:
  // Throws with file and line where it is not well-formed, or its root element is not `root`.
  XmlFile(const std::filesystem::path&, const char* root);

  pugi::xml_node root() const { return root_; }
  Where where(const pugi::xml_node&) const;
  // The text of the element `path` ("size/width") of `parent`; throws where it is missing or empty.
  std::string text(const pugi::xml_node& parent, const char* path) const;
  double number(const pugi::xml_node& parent, const char* path) const;
  // The attribute of `element`; throws where it is missing.
  std::string attribute(const pugi::xml_node& element, const char* name) const;
  double numeric_attribute(const pugi::xml_node& element, const char* name) const;

 private:
  int line_at(std::ptrdiff_t offset) const;
  std::string file_, text_;
  pugi::xml_document document_;
  pugi::xml_node root_;
};

// Whether a file begins like XML with this root element. False where it cannot be read.
bool begins_with_element(const std::filesystem::path&, std::string_view root);

}  // namespace darknet
