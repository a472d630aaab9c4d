// The parameters of a layer by their role.
#pragma once
#include "nn/layer.h"

namespace darknet {

// Null where it has none of that: also where it shares another layer's.
struct ParametersByRole {
  Parameter *weights = nullptr, *bias = nullptr, *scale = nullptr, *mean = nullptr,
            *variance = nullptr;
};
ParametersByRole parameters_by_role(Layer&);

}  // namespace darknet
