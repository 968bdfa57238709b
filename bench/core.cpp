// What the core costs: canonical form and hash of an event against the raw SHA-256 of the same bytes, a leaf of a tree, and
// a point of a series.
#include <benchmark/benchmark.h>

#include "../test/unit/jsonb_builder.h"
#include "../test/unit/support.h"
#include "core/anomaly.h"
#include "core/event.h"
#include "core/merkle.h"
#include "core/seasonal.h"

namespace {

using namespace spine;

const std::string stored_payload = jsonb::Encoder().encode(jsonb::object({{"name", jsonb::string("Ada Lovelace")},
                                                                {"department", jsonb::string("d-7")},
                                                                {"salary", jsonb::number("120000.5")},
                                                                {"manager", jsonb::string("m-1815")},
                                                                {"since", jsonb::string("2026-01-19")},
                                                                {"active", jsonb::boolean(true)}}));

Bytes bytes_of(const std::string &s) { return {reinterpret_cast<const uint8_t *>(s.data()), s.size()}; }

Event sample() {
  static const Hash previous{};
  Event e;
  e.present = (bit(Column::payload_salt) << 1) - 1;
  e.id = uuid_of("019bd5a0-1234-7abc-8def-0123456789ab");
  e.entity_id = uuid_of("00000000-0000-4000-8000-0000000000e1");
  e.actor_id = uuid_of("00000000-0000-4000-8000-0000000000a1");
  e.organization_id = uuid_of("00000000-0000-4000-8000-000000000001");
  e.event_type = "hcm.employee.updated";
  e.domain = "hcm";
  e.entity_type = "employee";
  e.action = "updated";
  e.actor_type = "human";
  e.environment = "prod";
  e.severity = "low";
  e.recorded_by = "payroll";
  e.timestamp = 1768815000000000;
  e.payload = bytes_of(stored_payload);
  e.sequence = 1815;
  e.transaction_id = 771;
  e.previous_hash = e.event_hash = {previous.data(), previous.size()};
  e.payload_salt = {previous.data(), 16};
  return e;
}

std::string_view document_of(Hasher &hasher, const Event &event) {
  PartHashes parts;
  std::string_view document;
  (void)hasher.hash_parts(event, &parts);
  (void)hasher.document(event, parts, &document);
  return document;
}

void raw_sha256(benchmark::State &state) {
  std::unique_ptr<Hasher> hasher = Hasher::create();
  std::string document(document_of(*hasher, sample()));
  Sha256 sha256;
  Hash hash;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sha256.digest(document, &hash));
    benchmark::DoNotOptimize(hash);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * document.size()));
}
BENCHMARK(raw_sha256);

void canonical_form(benchmark::State &state) {
  std::unique_ptr<Hasher> hasher = Hasher::create();
  Event event = sample();
  for (auto _ : state) benchmark::DoNotOptimize(document_of(*hasher, event));
}
BENCHMARK(canonical_form);

void canonical_form_and_hash(benchmark::State &state) {
  std::unique_ptr<Hasher> hasher = Hasher::create();
  Event event = sample();
  Hash hash;
  for (auto _ : state) {
    PartHashes parts;
    (void)hasher->hash_parts(event, &parts);
    benchmark::DoNotOptimize(hasher->digest(event, parts, &hash));
    benchmark::DoNotOptimize(hash);
  }
}
BENCHMARK(canonical_form_and_hash);

// As a verification does it; the time is that of one event.
void canonical_form_and_hash_of_many(benchmark::State &state) {
  EventBatch batch;
  Event event = sample();
  const Hash *hashes;
  while (state.KeepRunningBatch(EventBatch::most)) {
    for (int i = 0; i < EventBatch::most; i++) benchmark::DoNotOptimize(batch.add(event));
    benchmark::DoNotOptimize(batch.digest(&hashes));
  }
}
BENCHMARK(canonical_form_and_hash_of_many);

void compact_range_append(benchmark::State &state) {
  TreeHasher hasher;
  CompactRange range;
  Hash event_hash{}, leaf;
  for (auto _ : state) {
    event_hash[0]++;
    (void)hasher.leaf(event_hash, &leaf);
    benchmark::DoNotOptimize(range.append(hasher, leaf));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(compact_range_append);

void anomaly_point(benchmark::State &state) {
  AnomalyDetector detector;
  AnomalyDetector::Answer answer;
  int64_t i = 0;
  for (auto _ : state) {
    i++;
    benchmark::DoNotOptimize(detector.add(i * 300, static_cast<double>(i * 7919 % 100), &answer));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(anomaly_point);

void seasonal_point(benchmark::State &state) {
  SeasonalSmoother smoother(by_hour);
  int64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(smoother.add(static_cast<double>(++i * 7919 % 100)));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(seasonal_point);

}  // namespace

BENCHMARK_MAIN();
