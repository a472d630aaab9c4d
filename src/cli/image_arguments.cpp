#include "cli/image_arguments.h"

#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/file_format.h"
#include "core/input.h"
#include "dataset/image_list.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

// What the system reports nothing of, such as links that lead in a circle, is taken too: reading it
// says why.
template <class Iterator>
void collect(const fs::path& folder, std::vector<fs::path>& to) {
  std::error_code error;
  for (Iterator at(folder, fs::directory_options::skip_permission_denied, error);
       !error && at != Iterator(); at.increment(error)) {
    std::error_code unknown;
    if (is_image_name(at->path().native()) && (at->is_regular_file(unknown) || unknown))
      to.push_back(at->path());
  }
  if (error) fail_at({folder.string(), 0}, "cannot read this folder: ", error.message());
}

std::vector<fs::path> of_folder(const fs::path& folder, std::optional<bool> recursive) {
  std::vector<fs::path> images;
  if (recursive.value_or(false))
    collect<fs::recursive_directory_iterator>(folder, images);
  else
    collect<fs::directory_iterator>(folder, images);
  if (images.empty())
    fail_at({folder.string(), 0}, "no images in this folder",
            recursive.value_or(true) ? "" : "; -recursive looks into its folders too");
  std::sort(images.begin(), images.end());
  return images;
}

std::vector<fs::path> of_pattern(const std::string& pattern) {
  ::glob_t found{};
  const int error = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<fs::path> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (error != 0 || paths.empty()) fail(pattern, ": no file matches");
  return paths;
}

// Whether a backslash before `next` is no part of the word; `quote`: in which it stands, 0: none.
bool escapes(char quote, char next) {
  constexpr std::string_view kInDoubleQuotes = "\"\\$`";
  return quote == 0 || (quote == '"' && kInDoubleQuotes.find(next) != kInDoubleQuotes.npos);
}

// As a shell splits a line; nothing where a quote is not closed.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words;
  char quote = 0;
  bool inside = false;  // of a word
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool blank = quote == 0 && (c == ' ' || c == '\t');
    if (!blank && !inside) words.emplace_back();
    inside = !blank;
    if (blank) continue;
    if (c == quote)
      quote = 0;
    else if (quote == 0 && (c == '\'' || c == '"'))
      quote = c;
    else if (c == '\\' && i + 1 < line.size() && escapes(quote, line[i + 1]))
      words.back() += line[++i];
    else
      words.back() += c;
  }
  return quote == 0 ? words : std::vector<std::string>{};
}

// Names with blanks are typed too: only quotes and escapes make words of a line.
std::vector<std::string> typed_words(const std::string& line) {
  std::vector<std::string> words;
  if (line.find_first_of("'\"\\") != line.npos) words = shell_words(line);
  if (words.empty()) words = {line};
  const char* const home = std::getenv("HOME");
  for (std::string& word : words)
    if (home && word.starts_with("~/") && !is_present(word)) word.replace(0, 1, home);
  return words;
}

}  // namespace

ImagePaths images_of(const std::vector<std::string>& arguments, std::optional<bool> recursive) {
  ImagePaths all;
  for (const std::string& argument : arguments) {
    if (is_folder(argument))
      all.append(ImagePaths(of_folder(argument, recursive)));
    else if (fs::path(argument).extension() == ".txt" ||
             (is_pipe(argument) && !is_image_name(argument)))
      all.append(read_image_list(argument));
    else if (!is_present(argument) && argument.find_first_of("*?[") != std::string::npos)
      all.append(ImagePaths(of_pattern(argument)));
    else
      all.push_back(argument);
  }
  return all;
}

ImagePaths images_typed(const std::string& line, bool recursive) {
  const std::vector<std::string> words = is_present(line) ? std::vector{line} : typed_words(line);
  // A pipe of this process is where the lines come from.
  if (std::any_of(words.begin(), words.end(), [](const auto& word) { return is_pipe(word); }))
    return {fs::path(line)};
  return images_of(words, recursive);
}

}  // namespace darknet::cli
