#include "eval/distributions.h"

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "core/error.h"

namespace darknet {
namespace {

namespace math = boost::math;

void require_share(double share) {
  if (!(share > 0 && share < 1)) fail("a probability of ", share, ": expected one between 0 and 1");
}
void require_degrees(double degrees) {
  if (!(degrees > 0)) fail(degrees, " degrees of freedom: expected more than 0");
}
void require_number(double value) {
  if (std::isnan(value)) fail("a test statistic is not a number");
}

}  // namespace

double student_t(double confidence, double degrees_of_freedom) {
  require_share(confidence);
  return student_t_of_tail((1 - confidence) / 2, degrees_of_freedom);
}

double student_t_of_tail(double tail, double degrees_of_freedom) {
  require_share(tail);
  require_degrees(degrees_of_freedom);
  return math::quantile(math::complement(math::students_t(degrees_of_freedom), tail));
}

double student_t_tail(double t, double degrees_of_freedom) {
  require_number(t);
  require_degrees(degrees_of_freedom);
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  return math::cdf(math::complement(math::students_t(degrees_of_freedom), t));
}

double noncentral_t_tail(double t, double degrees_of_freedom, double shift) {
  require_number(t);
  require_number(shift);
  require_degrees(degrees_of_freedom);
  return math::cdf(math::complement(math::non_central_t(degrees_of_freedom, shift), t));
}

double chi_squared_quantile(double share, double degrees_of_freedom) {
  require_share(share);
  require_degrees(degrees_of_freedom);
  return math::quantile(math::chi_squared(degrees_of_freedom), share);
}

double normal_z(double confidence) {
  require_share(confidence);
  return math::quantile(math::complement(math::normal(), (1 - confidence) / 2));
}

double normal_two_sided(double z) {
  require_number(z);
  return std::erfc(std::abs(z) / std::sqrt(2.));
}

}  // namespace darknet
