// Any text as a trust policy: who signed more has not reached less.
#include "core/policy.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static spine::Policy policy;
  Input input(data, size);
  uint64_t who = input.take<uint64_t>();
  std::string text(input.rest());
  size_t line = SIZE_MAX;
  const char *why = policy.parse(text, &line);
  REQUIRE(line <= text.size() + 1);
  std::vector<spine::SignedBy> none(policy.key_count()), some(none), all(none);
  for (size_t i = 0; i < all.size(); i++) {
    REQUIRE(spine::is_key_name(policy.keys()[i].name));
    some[i].verified = who >> (i % 64) & 1;
    all[i].verified = true;
  }
  bool of_none = policy.quorum_reached(none.data()), of_some = policy.quorum_reached(some.data()), of_all = policy.quorum_reached(all.data());
  REQUIRE(of_none <= of_some && of_some <= of_all);
  if (why == nullptr) REQUIRE(policy.key_count() <= 2 * spine::Policy::max_definitions && line == 0);
  return 0;
}
