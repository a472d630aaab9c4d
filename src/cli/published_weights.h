// The weights that others have published for networks of cfg/: names, addresses, checksums, and
// what their authors say of them. This program has none of these files.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace darknet::cli {

struct PublishedWeights {
  std::string_view name;  // what users call it, unique
  std::string_view cfg;   // cfg/<cfg>.cfg
  std::int64_t layers;    // it holds that many first layers, a backbone; 0: all
  // Bytes of the float values in the file: of the parameters of the cfg. A header of 16 or 20 bytes
  // comes before them (docs/darknet-compat.md).
  std::int64_t bytes_of_values;
  std::string_view file;      // as it is published
  std::string_view licence;   // of the authors, in short; "": none is stated
  std::string_view data;      // what it was trained on
  std::string_view accuracy;  // as published, at the input of the cfg; "": not
  std::string_view source;    // of the accuracy
  std::string_view sum;       // SHA-256 or SHA-1, in hexadecimal digits; "": not known for certain
  // Addresses of the file with blanks between them; "": no direct address is known.
  std::string_view urls;
  std::string_view page;  // where a browser finds it, if there are no addresses
};

std::span<const PublishedWeights> published_weights();
// Throws where there is none of that name, and lists the names.
const PublishedWeights& published_weights(std::string_view name);

}  // namespace darknet::cli
