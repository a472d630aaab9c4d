// The batch= and subdivisions= of a cfg for training and for testing, of which Darknet's files have
// one pair as comments.
#pragma once
#include <string>

namespace darknet {

// The text of a cfg with the pair for training, or for testing (1 and 1), in force and the other as
// comments; all else stays. That for training is the largest that [net] gives, as a comment or not.
// `name` stands in messages. Throws where training is wanted and no batch= is above 1.
std::string switched_batch(const std::string& text, bool training, const std::string& name);

}  // namespace darknet
