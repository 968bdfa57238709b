// Any links in any order, checked over any range: the folded walk finds what holding everything finds.
#include "../unit/chain_reference.h"
#include "fuzz.h"

namespace {

spine::Hash hash_number(uint8_t organization, int64_t n) {
  spine::Hash hash{};
  if (n == 0) return hash;
  std::memcpy(hash.data(), &n, sizeof n);
  hash[31] = organization;
  return hash;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Input input(data, size);
  static constexpr int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 2, INT64_MAX - 1, INT64_MAX};
  spine::Range range;
  uint8_t bounds = input.take<uint8_t>();
  if (bounds & 1) range.from = 1 + bounds / 4 % 8;
  if (bounds & 2) range.to = bounds & 0x80 ? INT64_MAX - 1 : range.from + bounds / 32 % 4;

  // A link for every two bytes: the next of its chain, but for the change that the second byte asks for.
  std::vector<spine::Link> table;
  int64_t length[8] = {};
  std::string_view steps = input.text(240);
  for (size_t i = 0; i + 1 < steps.size(); i += 2) {
    uint8_t organization = static_cast<uint8_t>(steps[i]) & 7, change = static_cast<uint8_t>(steps[i]) >> 3;
    uint8_t value = static_cast<uint8_t>(steps[i + 1]);
    int64_t n = ++length[organization];
    spine::Link link{};
    link.organization[15] = organization;
    link.id[0] = value;
    link.id[1] = static_cast<uint8_t>(i);  // they differ, for they order events of one sequence
    link.sequence = n;
    link.timestamp = n;
    link.previous_hash = hash_number(organization, n - 1);
    link.event_hash = hash_number(organization, n);
    switch (change) {
      case 0:
        link.sequence = static_cast<int8_t>(value);
        break;
      case 1:
        link.sequence = edges[value % 8];
        break;
      case 2:
        link.timestamp = static_cast<int8_t>(value);
        break;
      case 3:
        link.timestamp = edges[value % 8];
        break;
      case 4:
        link.previous_hash = hash_number(organization, value);
        break;
      case 5:
        link.event_hash = hash_number(organization, value);
        break;
      case 6:
        link.previous_is_hash = false;
        break;
      case 7:  // a twin of an earlier one
        link.sequence = value % n + 1;
        link.previous_hash = hash_number(organization, link.sequence - 1);
        break;
      case 8:
        length[organization] += value % 4;  // a gap
        break;
      case 9:  // out of order on disk
        table.insert(table.begin() + static_cast<ptrdiff_t>(value % (table.size() + 1)), link);
        continue;
      default:
        break;
    }
    table.push_back(link);
  }
  static spine::Verifier verifier(spine::SegmentFolder::sets);  // few slots, so that organizations displace each other
  REQUIRE(verifier.verify(table, range) == spine::reference(table, range));
  return 0;
}
