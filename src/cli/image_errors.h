// For commands that read all images of a list and end at the first that cannot be decoded.
#pragma once
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/together.h"

namespace darknet::cli {

// Runs `work`; an error of an image says how to find all of them.
template <class Work>
int naming_image_check(const Work& work) {
  constexpr std::string_view kRemedy = "; darknet detector check lists all such files";
  const auto of_image = [](const Error& e) {
    const std::string_view text = e.what();
    return text.find(": cannot decode image") != text.npos ||
           text.find(": damaged image") != text.npos;
  };
  try {
    return work();
  } catch (const CommonFailure& e) {
    if (!of_image(e)) throw;
    throw CommonFailure(cat(e.what(), kRemedy), e.exit_code());
  } catch (const Error& e) {
    if (!of_image(e)) throw;
    throw Error(cat(e.what(), kRemedy), e.exit_code());
  }
}

}  // namespace darknet::cli
