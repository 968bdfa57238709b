// The settings people_os_spine.*, parsed.
#pragma once

#include "server/pg.h"

namespace spine {

enum ChainAt { chain_at_insert, chain_at_commit };

struct Settings {
  bool has_organization_id;
  Uuid organization_id;
  bool has_actor_id;
  Uuid actor_id;
  bool has_correlation_id;
  Uuid correlation_id;
  int actor_type;          // a label: actor_type_labels[actor_type]
  int environment;         // a label, or 0: none
  int max_payload_size;    // bytes of the canonical form
  bool require_durable_commit;
  int chain_at;            // a ChainAt
  bool early_lock_release;
  bool require_registered_types;
  bool notify;
  const char *unguard;     // why the guard lets through what it refuses; empty: it does not
  int progress_interval;   // milliseconds; 0: never
};
extern Settings settings;

inline constexpr const char *actor_type_labels[] = {"human", "system", "pipeline"};
inline constexpr const char *environment_labels[] = {"", "dev", "test", "stage", "prod"};

void define_settings();

}  // namespace spine
