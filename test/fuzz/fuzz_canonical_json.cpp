// Any bytes as a stored jsonb: what the canonicalizer accepts, it writes as canonical JSON within the limits.
#include "fuzz.h"

using spine::Status;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static spine::JsonCanonicalizer canonicalizer;
  spine::Buffer all, within;
  Status status = canonicalizer.append({data, size}, {SIZE_MAX, SIZE_MAX, false}, all);
  REQUIRE(status == Status::ok || status == Status::malformed);
  if (status == Status::ok) REQUIRE(CanonicalReader::accepts(all.view()));

  spine::JsonLimits limits{64, 4, true};
  Status limited = canonicalizer.append({data, size}, limits, within);
  if (limited == Status::ok) {
    REQUIRE(status == Status::ok);
    REQUIRE(within.view() == all.view());
    REQUIRE(within.size() <= limits.max_size);
  }
  if (status == Status::ok && all.size() > limits.max_size) REQUIRE(limited != Status::ok);
  return 0;
}
