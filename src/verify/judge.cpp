// What one event is, whatever its neighbours are.
#include "core/event_name.h"
#include "server/errors.h"
#include "verify/verify.h"

namespace spine {

namespace {

void add(ContentFaults *faults, FaultKind kind, const Hash *expected, const char *detail) {
  ContentFault &fault = faults->fault[faults->count++];
  fault.kind = kind;
  fault.has_expected = expected != nullptr;
  if (expected != nullptr) fault.expected = *expected;
  fault.detail = detail;
}

}  // namespace

ContentFaults judge_content(const Event &event) {
  ContentFaults faults;
  PartHashes parts;
  Hash hash;
  Status status = hasher().hash_parts(event, &parts);
  if (status == Status::ok) status = hasher().digest(event, parts, &hash);
  if (status == Status::out_of_memory || status == Status::crypto_failed) report(status, "an event");
  faults.parts_are_json = status == Status::ok;
  if (status != Status::ok)
    add(&faults, FaultKind::content_altered, nullptr, damaged_part);
  else if (event.event_hash.size != hash.size() || memcmp(event.event_hash.data, hash.data(), hash.size()) != 0)
    add(&faults, FaultKind::content_altered, &hash, altered_content);
  if (!parts_join(event)) add(&faults, FaultKind::malformed, nullptr, "domain, entity_type and action do not join to event_type");
  return faults;
}

bool parts_join(const Event &event) {
  EventName name{event.domain, event.entity_type, event.action};
  constexpr uint32_t names = bit(Column::event_type) | bit(Column::domain) | bit(Column::entity_type) | bit(Column::action);
  return (event.present & names) == names && parts_join_to(name, event.event_type);
}

// What is shorter or longer than a hash is no hash: judge_content says so, and it links to nothing.
Hash hash_of(Bytes bytes) {
  Hash hash{};
  memcpy(hash.data(), bytes.data, Min(bytes.size, hash.size()));
  return hash;
}

Link link_of(const Event &event) {
  Link link{};
  link.organization = event.organization_id;
  link.id = event.id;
  link.sequence = event.sequence;
  link.timestamp = event.timestamp;
  link.previous_hash = hash_of(event.previous_hash);
  link.event_hash = hash_of(event.event_hash);
  link.previous_is_hash = event.previous_hash.size == sizeof(Hash);
  return link;
}

}  // namespace spine
