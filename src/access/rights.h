// Who is given which right on what the extension makes. Grants, the guard's comparison (through spine.expected_rights), the
// tests and the reference go by this one table.
#pragma once

#include "server/pg.h"

namespace spine {

// What a right is: USAGE of a schema or type, SELECT of a table or view, EXECUTE of a function; of a sequence nobody has one.
enum class ObjectKind { schema, type, table, sequence, function };

// Whom the functions spine.grant_… give it. An auditor is a reader who is given more.
enum Receivers : unsigned {
  nobody = 0,
  emitter = 1,
  reader = 2,
  auditor = 4,
  eraser = 8,
  hold_keeper = 16,
  notary = 32,
  watcher = 64,
  readers = reader | auditor,
  everybody = 127
};

struct ExpectedRight {
  ObjectKind kind;
  const char *name;  // within schema spine, but for the schema itself
  unsigned receivers;
};

inline constexpr ExpectedRight expected_rights[] = {
    {ObjectKind::schema, "spine", everybody},

    {ObjectKind::type, "actor_type", everybody},
    {ObjectKind::type, "environment", everybody},
    {ObjectKind::type, "severity", everybody},

    {ObjectKind::table, "events", readers},
    {ObjectKind::table, "events_default", nobody},
    {ObjectKind::table, "chain_partitions", nobody},
    {ObjectKind::table, "anchors", nobody},
    {ObjectKind::table, "event_types", nobody},
    {ObjectKind::table, "legal_holds", readers},
    {ObjectKind::table, "retention_policies", readers},
    {ObjectKind::table, "role_bindings", nobody},
    {ObjectKind::table, "subscriptions", nobody},
    {ObjectKind::table, "subscription_positions", nobody},
    {ObjectKind::table, "subscription_batches", nobody},
    {ObjectKind::table, "subscription_progress", nobody},
    {ObjectKind::table, "subscription_news", nobody},
    {ObjectKind::table, "watches", nobody},
    {ObjectKind::table, "counted_chains", readers},
    {ObjectKind::table, "daily_counts", readers},
    {ObjectKind::table, "daily_actor_counts", readers},
    {ObjectKind::table, "daily_totals", readers},
    {ObjectKind::table, "dashboard_progress", nobody},
    {ObjectKind::table, "verifications", readers},
    {ObjectKind::table, "checkpoints", readers | notary},
    {ObjectKind::table, "tree_nodes", nobody},
    {ObjectKind::table, "directory_checkpoints", auditor | notary},
    {ObjectKind::table, "checkpoint_notes", auditor | notary},
    {ObjectKind::table, "rules", readers | watcher},
    {ObjectKind::table, "rule_library", readers | watcher},
    {ObjectKind::table, "calendars", readers | watcher},
    {ObjectKind::table, "watch_positions", nobody},
    {ObjectKind::table, "watch_states", nobody},
    {ObjectKind::table, "finding_records", readers},
    {ObjectKind::table, "findings", readers},
    {ObjectKind::table, "audit_log", readers},
    {ObjectKind::table, "activity_feed", readers},
    {ObjectKind::table, "chain_status", readers},
    {ObjectKind::table, "uncounted_events", readers},
    {ObjectKind::table, "event_counts", readers},
    {ObjectKind::table, "events_by_day", readers},
    {ObjectKind::table, "events_by_domain", readers},
    {ObjectKind::table, "events_by_type", readers},
    {ObjectKind::table, "events_by_severity", readers},
    {ObjectKind::table, "events_by_actor", readers},
    {ObjectKind::table, "total_counts", readers},
    {ObjectKind::table, "totals_by_day", readers},
    {ObjectKind::table, "totals_by_domain", readers},
    {ObjectKind::table, "totals_by_type", readers},
    {ObjectKind::table, "totals_by_severity", readers},
    {ObjectKind::table, "totals_by_actor_type", readers},
    {ObjectKind::table, "subscription_lag", readers},
    {ObjectKind::table, "set_aside_batches", readers},
    {ObjectKind::table, "verify_progress", readers},
    {ObjectKind::table, "metrics", auditor},

    {ObjectKind::sequence, "subscription_batch", nobody},

    {ObjectKind::function, "emit_event", emitter},
    {ObjectKind::function, "emit_events", emitter},
    {ObjectKind::function, "chain_pending", emitter},
    {ObjectKind::function, "entity_uuid", everybody},
    {ObjectKind::function, "set_context", everybody},
    {ObjectKind::function, "may_read", readers | notary | watcher},
    {ObjectKind::function, "may_read_all", readers},
    {ObjectKind::function, "may_notarize", readers | notary},
    {ObjectKind::function, "shown_event", readers},
    {ObjectKind::function, "read_events", readers},
    {ObjectKind::function, "read_chain_heads", readers},
    {ObjectKind::function, "read_chain_status", readers},
    {ObjectKind::function, "uncounted_from", readers},
    {ObjectKind::function, "verify_chain", readers},
    {ObjectKind::function, "find_chain_faults", readers},
    {ObjectKind::function, "read_verify_progress", readers},
    {ObjectKind::function, "replay", readers},
    {ObjectKind::function, "reconcile_table", readers},
    {ObjectKind::function, "entity_history", readers},
    {ObjectKind::function, "entity_as_of", readers},
    {ObjectKind::function, "canonical_json", readers},
    {ObjectKind::function, "canonical_event", readers},
    {ObjectKind::function, "event_digest", readers},
    {ObjectKind::function, "to_cloudevent", readers},
    {ObjectKind::function, "to_ocsf", readers},
    {ObjectKind::function, "create_subscription", readers},
    {ObjectKind::function, "next_batch", readers},
    {ObjectKind::function, "acknowledge", readers},
    {ObjectKind::function, "drop_subscription", readers},
    {ObjectKind::function, "read_subscriptions", readers},
    {ObjectKind::function, "retry_batch", readers},
    {ObjectKind::function, "read_set_aside_batches", readers},
    {ObjectKind::function, "tree_head", readers | notary},
    {ObjectKind::function, "prove_inclusion", readers},
    {ObjectKind::function, "prove_consistency", readers | notary},
    {ObjectKind::function, "prove_growth", readers | notary},
    {ObjectKind::function, "prove_directory_consistency", readers | notary},
    {ObjectKind::function, "verify_since_checkpoint", readers},
    {ObjectKind::function, "event_line", readers},
    {ObjectKind::function, "export_evidence", readers},
    {ObjectKind::function, "read_series", readers},
    {ObjectKind::function, "forecast", readers},
    {ObjectKind::function, "forecast_limit", readers},
    {ObjectKind::function, "judge_series", readers},
    {ObjectKind::function, "measure_drift", readers},
    {ObjectKind::function, "test_benford", readers},
    {ObjectKind::function, "verify_guards", auditor},
    {ObjectKind::function, "expected_rights", auditor},
    {ObjectKind::function, "refresh_dashboards", auditor},
    {ObjectKind::function, "record_verification", auditor},

    {ObjectKind::function, "erase_events", eraser},
    {ObjectKind::function, "erase_entity", eraser},
    {ObjectKind::function, "repeat_erasures", eraser},
    {ObjectKind::function, "place_hold", hold_keeper},
    {ObjectKind::function, "release_hold", hold_keeper},
    {ObjectKind::function, "set_retention", hold_keeper},

    {ObjectKind::function, "take_checkpoint", notary},
    {ObjectKind::function, "checkpointed_chains", notary},
    {ObjectKind::function, "store_note", notary},

    {ObjectKind::function, "set_rule", watcher},
    {ObjectKind::function, "enable_rule", watcher},
    {ObjectKind::function, "set_calendar", watcher},
    {ObjectKind::function, "run_watch", watcher},
    {ObjectKind::function, "add_library_rules", watcher},
    {ObjectKind::function, "test_rule", readers | watcher},
    {ObjectKind::function, "backtest_rule", readers},
    {ObjectKind::function, "explain_finding", readers},
    {ObjectKind::function, "close_finding", auditor},
    {ObjectKind::function, "measure_risk", readers},
    {ObjectKind::function, "explain_risk", readers},

    // By hand, to whom an administrator trusts with them.
    {ObjectKind::function, "register_event_type", nobody},
    {ObjectKind::function, "capture_changes", nobody},
    {ObjectKind::function, "stop_capture", nobody},
    {ObjectKind::function, "capture_migrations", nobody},
    {ObjectKind::function, "stop_capturing_migrations", nobody},
    {ObjectKind::function, "require_events", nobody},
    {ObjectKind::function, "stop_requiring_events", nobody},
    {ObjectKind::function, "forget_watch", nobody},
    // For the owner of spine.events.
    {ObjectKind::function, "attach_partition", nobody},
    {ObjectKind::function, "create_partitions", nobody},
    {ObjectKind::function, "move_from_default", nobody},
    {ObjectKind::function, "retire_events", nobody},
    {ObjectKind::function, "verify_table", nobody},
    // They run with the caller's rights, so that only the owner and superusers get anywhere with them.
    {ObjectKind::function, "set_person_scores", nobody},
    {ObjectKind::function, "wipe_erased", nobody},
    {ObjectKind::function, "grant_emitter", nobody},
    {ObjectKind::function, "grant_reader", nobody},
    {ObjectKind::function, "grant_auditor", nobody},
    {ObjectKind::function, "grant_eraser", nobody},
    {ObjectKind::function, "grant_hold_keeper", nobody},
    {ObjectKind::function, "grant_notary", nobody},
    {ObjectKind::function, "grant_watcher", nobody},
    {ObjectKind::function, "revoke_notary", nobody},
    {ObjectKind::function, "revoke_all", nobody},
    // Of triggers and the planner.
    {ObjectKind::function, "capture_change", nobody},
    {ObjectKind::function, "chain_event", nobody},
    {ObjectKind::function, "follow_partitions", nobody},
    {ObjectKind::function, "guard_ddl", nobody},
    {ObjectKind::function, "keep_decision", nobody},
    {ObjectKind::function, "keep_record", nobody},
    {ObjectKind::function, "may_read_support", nobody},
    {ObjectKind::function, "note_change", nobody},
    {ObjectKind::function, "note_migration", nobody},
    {ObjectKind::function, "own_binding", nobody},
    {ObjectKind::function, "own_event_type", nobody},
    {ObjectKind::function, "record_bindings", nobody},
    {ObjectKind::function, "refuse_change", nobody},
    {ObjectKind::function, "refuse_writer", nobody},
    {ObjectKind::function, "require_event", nobody},
};

// The privileges that a role may be granted on a relation, as aclexplode names them in lower case: what the functions give, and
// INSERT on the events, which chains. Empty: none, or it is no relation.
constexpr const char *grantable_privileges(const ExpectedRight &right) {
  if (right.kind != ObjectKind::table || right.receivers == nobody) return "";
  return std::string_view(right.name) == "events" ? "select insert" : "select";
}

}  // namespace spine
