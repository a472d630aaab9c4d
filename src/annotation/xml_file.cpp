#include "annotation/xml_file.h"

#include <algorithm>

#include "annotation/set_builder.h"
#include "core/file.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxXml = std::uint64_t{1} << 30;  // bytes
constexpr std::size_t kBeginning = 4096;

}  // namespace

XmlFile::XmlFile(const std::filesystem::path& path, const char* root)
    : file_(path.string()), text_(read_file(path, kMaxXml)) {
  const pugi::xml_parse_result parsed = document_.load_buffer(text_.data(), text_.size());
  if (!parsed) fail_at({file_, line_at(parsed.offset)}, "malformed XML: ", parsed.description());
  root_ = document_.child(root);
  if (!root_) fail_at({file_, 0}, "there is no element <", root, ">");
}

int XmlFile::line_at(std::ptrdiff_t offset) const {
  const auto end = text_.begin() + std::clamp<std::ptrdiff_t>(offset, 0, std::ssize(text_));
  return 1 + static_cast<int>(std::count(text_.begin(), end, '\n'));
}

Where XmlFile::where(const pugi::xml_node& node) const {
  return {file_, line_at(node.offset_debug())};
}

std::string XmlFile::text(const pugi::xml_node& parent, const char* path) const {
  const pugi::xml_node node = parent.first_element_by_path(path);
  std::string value{trim(node.text().get())};
  const auto first = value.find_first_not_of('\n'), last = value.find_last_not_of('\n');
  value = first == value.npos ? "" : std::string(trim(value.substr(first, last - first + 1)));
  if (value.empty()) fail_at(where(parent), "<", parent.name(), "> without <", path, ">");
  return value;
}

double XmlFile::number(const pugi::xml_node& parent, const char* path) const {
  return finite_number(text(parent, path), path, where(parent.first_element_by_path(path)));
}

std::string XmlFile::attribute(const pugi::xml_node& element, const char* name) const {
  const pugi::xml_attribute attribute = element.attribute(name);
  if (!attribute) fail_at(where(element), "<", element.name(), "> without ", name, "=\"...\"");
  return attribute.value();
}

double XmlFile::numeric_attribute(const pugi::xml_node& element, const char* name) const {
  return finite_number(attribute(element, name), name, where(element));
}

bool begins_with_element(const std::filesystem::path& path, std::string_view root) try {
  InputFile in(path, kMaxXml);
  std::string beginning(kBeginning, '\0');
  in.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<std::size_t>(in.gcount()));
  for (std::size_t at = beginning.find('<'); at != beginning.npos;
       at = beginning.find('<', at + 1)) {
    const std::string_view rest = std::string_view(beginning).substr(at + 1);
    if (rest.starts_with('?') || rest.starts_with('!')) continue;
    return rest.starts_with(root) && rest.size() > root.size() &&
           std::string_view(" \t\r\n>/").find(rest[root.size()]) != std::string_view::npos;
  }
  return false;
} catch (const Error&) {
  return false;
}

}  // namespace darknet
