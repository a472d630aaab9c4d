// The "type.index.key=value" of -set: which keys of which sections it changes. A comment behind the
// value says which other flag made the assignment: "net.0.precision=f32 # -precision int8".
// Sections as they are read take it in cfg/parse.h; here also the text of a cfg.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "core/error.h"

namespace darknet {

struct Override {
  std::string type, key, value;
  std::int64_t index = -1;  // among the sections of that type, from 0; -1: every one
  Where where;              // for messages
};

// Throws where the text is none.
Override parse_override(const std::string& assignment);

// Throws where it has no value: no key is removed so.
void require_value(const Override&);

// Without the comments: as files and printed commands have them, whatever flag made them.
std::vector<std::string> without_flags(std::vector<std::string> assignments);

// "convolutional.3": the section at this place (from 0) as an assignment names it.
std::string name_of_place(const std::vector<Section>&, std::size_t place);

// The places of the sections that it changes, of the types of all sections in their order; throws
// where there is none.
std::vector<std::size_t> places_of(const Override&, std::span<const std::string> types);

// The text of a cfg with the assignments applied in their order: a line that gives a changed key is
// replaced, a key that no line gives comes below its section's name, everything else stays. Reading
// it gives what apply_overrides() makes of the sections of `text`. Throws as that does. A comment
// behind a value that is replaced goes with it, or stays.
enum class Comments : std::uint8_t { replaced, kept };
std::string with_overrides(const std::string& text, std::span<const std::string> assignments,
                           Comments = Comments::replaced);

// The lines of `text`, which end with LF, with CRLF where those of `original` do.
std::string with_line_ends_of(const std::string& original, const std::string& text);

}  // namespace darknet
