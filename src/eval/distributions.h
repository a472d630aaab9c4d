// Quantiles and tails of the distributions that tests and intervals need, from Boost.Math. Every
// function throws where an argument is not in its range.
#pragma once

namespace darknet {

// The quantile of Student's t: P(|T| <= t) = confidence, 0 < confidence < 1; degrees of freedom > 0
// need not be integers.
double student_t(double confidence, double degrees_of_freedom);
// The same for a tail too small to be 1 - confidence: P(T > t) = tail.
double student_t_of_tail(double tail, double degrees_of_freedom);
// P(T > t) of Student's t.
double student_t_tail(double t, double degrees_of_freedom);
// P(T > t) of the noncentral t: of (Z + shift) / sqrt(V / degrees_of_freedom), Z normal, V chi^2.
double noncentral_t_tail(double t, double degrees_of_freedom, double shift);
// P(V <= v) = share, 0 < share < 1.
double chi_squared_quantile(double share, double degrees_of_freedom);
// The quantile of the normal distribution: P(|Z| <= z) = confidence.
double normal_z(double confidence);
// P(|Z| > z) of the normal distribution.
double normal_two_sided(double z);

}  // namespace darknet
