// Any bytes as a compact range: what is read is written back alike, and grows as a range does.
#include "core/merkle.h"
#include "fuzz.h"

using spine::CompactRange;
using spine::Hash;
using spine::Status;

namespace {

std::string written(const CompactRange &range) {
  uint8_t bytes[CompactRange::max_bytes];
  size_t size = range.write(bytes);
  REQUIRE(size <= sizeof bytes);
  return std::string(reinterpret_cast<char *>(bytes), size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static spine::TreeHasher hasher;
  Input input(data, size);
  uint8_t leaves = input.take<uint8_t>();
  std::string_view bytes = input.rest();
  CompactRange range;
  if (!range.read({reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()})) {
    REQUIRE(range.end() == 0 && range.count() == 0);
    return 0;
  }
  REQUIRE(written(range) == bytes);
  REQUIRE(range.begin() <= range.end() && range.end() <= spine::max_tree_size);
  REQUIRE(range.count() <= CompactRange::max_hashes);
  if (range.begin() == 0) REQUIRE(range.count() == static_cast<size_t>(__builtin_popcountll(range.end())));
  Hash root;
  REQUIRE((range.root(hasher, &root) == Status::ok) == (range.begin() == 0));

  // Leaves one by one, and the same leaves as a range of their own.
  CompactRange one_by_one(range), next(range.end());
  Hash leaf{};
  for (uint8_t i = 0; i < leaves; i++) {
    leaf[0] = i;
    Status status = next.append(hasher, leaf);
    REQUIRE(one_by_one.append(hasher, leaf) == status);
    REQUIRE((status == Status::ok) == (spine::max_tree_size - range.end() > i));
    if (status != Status::ok) break;
  }
  CompactRange at_once(range);
  REQUIRE(at_once.append(hasher, next) == Status::ok);
  REQUIRE(written(at_once) == written(one_by_one));
  return 0;
}
