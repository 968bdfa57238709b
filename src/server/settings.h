// The settings people_os_spine.*, parsed.
#pragma once

#include "server/pg.h"

namespace spine {

enum ChainAt { chain_at_insert, chain_at_commit };

struct Settings {
  bool has_organization_id;
  Uuid organization_id;
  uint64 organization_id_number;  // the value's, of those that next_setting_number gave
  bool has_actor_id;
  Uuid actor_id;
  uint64 actor_id_number;
  bool has_correlation_id;
  Uuid correlation_id;
  uint64 correlation_id_number;
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

// Numbers the values of settings in the order in which somebody gave them; one that comes back, as at the end of a
// transaction or with ROLLBACK TO, keeps its number.
uint64 next_setting_number();

void define_settings();

}  // namespace spine
