#include "nn/parameters_by_role.h"

namespace darknet {

ParametersByRole parameters_by_role(Layer& layer) {
  ParametersByRole found;
  for (Parameter* p : layer.parameters()) {
    switch (p->role) {
      case Role::weights:
        found.weights = p;
        break;
      case Role::bias:
        found.bias = p;
        break;
      case Role::scale:
        found.scale = p;
        break;
      case Role::rolling_mean:
        found.mean = p;
        break;
      case Role::rolling_variance:
        found.variance = p;
        break;
    }
  }
  return found;
}

}  // namespace darknet
