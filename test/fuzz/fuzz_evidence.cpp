// Any lines as evidence: counts add up, and nothing is proved but what was signed.
#include <sstream>

#include "../tools/evidence_maker.h"
#include "core/evidence.h"
#include "fuzz.h"

namespace {

// What the bundles of the corpus were made of. Whoever fuzzes does not have the key.
struct Signed {
  std::string policy_text, bundles;
  spine::Policy policy;

  Signed() {
    evidence::Options one, two;
    one.events = 3;
    one.chains = 2;
    one.erased = {1};
    one.first = 1;
    one.last = 2;
    one.singles = {3};
    one.hide_payload = true;
    two.events = two.chains = two.bundled = 2;
    two.singles = {2};
    two.hide_payload = two.withhold = true;
    two.entries = 2;
    two.entry = 1;
    std::ostringstream out;
    for (const evidence::Options &options : {one, two}) evidence::Evidence(options).print_bundle(out);
    bundles = out.str();
    policy_text = evidence::Evidence(one).policy();
    size_t line;
    REQUIRE(policy.parse(policy_text, &line) == nullptr);
  }
};

class Listener final : public spine::EvidenceListener {
 public:
  explicit Listener(const Signed &known) : known_(known) {}

  void failure(const spine::EvidenceFailure &failure) noexcept override { failures += failure.why != nullptr; }
  void event(const spine::EvidenceEvent &event) noexcept override {
    std::string name = "\"id\":\"" + std::string(event.id) + "\",\"organization_id\":\"" + std::string(event.organization) + "\"";
    waiting_.push_back({event.sound, event.sound && known_.bundles.find(name) != std::string::npos});
    last = event.sequence;
  }
  void settled(uint64_t events, bool proved) noexcept override {
    REQUIRE(events == waiting_.size());
    for (const auto &[sound, known] : waiting_) {
      if (proved && sound) REQUIRE(known);
      proved_count += proved && sound;
    }
    waiting_.clear();
  }
  void erased(uint64_t sequence, bool payload, bool personal) noexcept override {
    REQUIRE(payload || personal);
    REQUIRE(sequence >= 1 && sequence < last);
  }
  void chain(const spine::EvidenceChain &chain) noexcept override {
    REQUIRE(waiting_.empty());
    REQUIRE(chain.counts.events == chain.counts.proved + chain.counts.unproved + chain.counts.refuted);
    REQUIRE(chain.counts.payload.shown + chain.counts.payload.erased + chain.counts.payload.withheld == chain.counts.events);
    REQUIRE(chain.first <= chain.last && chain.counts.links <= chain.counts.events);
  }

  uint64_t failures = 0, proved_count = 0, last = 0;

 private:
  const Signed &known_;
  std::vector<std::pair<bool, bool>> waiting_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Signed known;
  std::string_view text = Input(data, size).rest();
  Listener listener(known);
  auto verifier = std::make_unique<spine::EvidenceVerifier>(&known.policy, &listener);
  size_t begin = 0, end;
  bool more = true;
  while (more && (end = text.find('\n', begin)) != text.npos) {
    more = verifier->line(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (more) verifier->finish(text.substr(begin));
  REQUIRE(verifier->has_failed() == (listener.failures > 0));
  REQUIRE(verifier->counts().proved == listener.proved_count);
  if (verifier->kind() == spine::EvidenceKind::plain_export) REQUIRE(listener.proved_count == 0);
  return 0;
}
