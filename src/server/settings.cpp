#include "server/settings.h"

#include <climits>

#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"

extern "C" {
#include <utils/acl.h>
}

namespace spine {

Settings settings{};

namespace {

char *organization_id_text;
char *actor_id_text;
char *correlation_id_text;
char *unguard_text;

const config_enum_entry actor_types[] = {{actor_type_labels[0], 0, false},
                                         {actor_type_labels[1], 1, false},
                                         {actor_type_labels[2], 2, false},
                                         {nullptr, 0, false}};
const config_enum_entry environments[] = {{environment_labels[0], 0, false}, {environment_labels[1], 1, false},
                                          {environment_labels[2], 2, false}, {environment_labels[3], 3, false},
                                          {environment_labels[4], 4, false}, {nullptr, 0, false}};

const config_enum_entry chain_ats[] = {
    {"insert", chain_at_insert, false}, {"commit", chain_at_commit, false}, {nullptr, 0, false}};

bool check_uuid(char **value, void **extra, GucSource) {
  Uuid uuid;
  if (**value != '\0' && !parse_uuid(*value, &uuid)) {
    GUC_check_errdetail("The value must be a UUID, or empty.");
    return false;
  }
  uint64 *number = static_cast<uint64 *>(compat_setting_memory(sizeof(uint64)));
  if (number == nullptr) return false;
  *number = next_setting_number();
  *extra = number;
  return true;
}

// Said for a database, a role or the server it would be said for good, and by nobody.
bool check_unguard(char **value, void **, GucSource source) {
  if (**value == '\0' || source == PGC_S_SESSION) return true;
  GUC_check_errdetail("The guard is taken off in a session, by SET, and nowhere else.");
  return false;
}

void assign_unguard(const char *value, void *) { settings.unguard = value; }

void assign_organization_id(const char *value, void *extra) {
  settings.organization_id_number = *static_cast<uint64 *>(extra);
  settings.has_organization_id = parse_uuid(value, &settings.organization_id);
}

void assign_actor_id(const char *value, void *extra) {
  settings.actor_id_number = *static_cast<uint64 *>(extra);
  settings.has_actor_id = parse_uuid(value, &settings.actor_id);
}

void assign_correlation_id(const char *value, void *extra) {
  settings.has_correlation_id = parse_uuid(value, &settings.correlation_id);
  settings.correlation_id_number = *static_cast<uint64 *>(extra);
}

// Before this library is loaded, what a connection's options say of a superuser's setting takes the place of what
// ALTER DATABASE says. The server drops it when the library is loaded, but what it displaced is gone by then, and the
// default would rule. So a connection with such an option does not get the library.
void refuse_startup_options() {
  for (const char *name : {"people_os_spine.environment", "people_os_spine.max_payload_size",
                           "people_os_spine.require_durable_commit", "people_os_spine.early_lock_release",
                           "people_os_spine.require_registered_types", "people_os_spine.notify"}) {
    const config_generic *said = compat_find_setting(name);
    if (said == nullptr || said->reset_source != PGC_S_CLIENT || said->reset_scontext != PGC_BACKEND ||
        pg_parameter_aclcheck(name, said->reset_srole, ACL_SET) == ACLCHECK_OK)
      continue;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to set parameter \"%s\"", name),
                    errhint("Connect without it: it is among this connection's options (PGOPTIONS).")));
  }
}

// Where memory runs out in the middle, the library is loaded again by the next call that needs it.
bool is_defined(const char *name) {
  const config_generic *setting = compat_find_setting(name);
  return setting != nullptr && (setting->flags & GUC_CUSTOM_PLACEHOLDER) == 0;
}

template <class... Parameters, class... Arguments>
void define(void (*how)(const char *, Parameters...), const char *name, Arguments... arguments) {
  if (!is_defined(name)) how(name, arguments...);
}

}  // namespace

uint64 next_setting_number() {
  static uint64 last;
  return ++last;
}

void define_settings() {
  refuse_startup_options();
  define(DefineCustomStringVariable, "people_os_spine.organization_id", "The organization of events that name none.",
                             "A UUID, or empty.", &organization_id_text, "", PGC_USERSET, 0, check_uuid,
                             assign_organization_id, nullptr);
  define(DefineCustomStringVariable, "people_os_spine.actor_id", "Who acts, where the call does not say.",
                             "A UUID, or empty.", &actor_id_text, "", PGC_USERSET, 0, check_uuid, assign_actor_id,
                             nullptr);
  define(DefineCustomStringVariable, "people_os_spine.correlation_id", "The request or trace of events that name none.",
                             "A UUID, or empty.", &correlation_id_text, "", PGC_USERSET, 0, check_uuid, assign_correlation_id,
                             nullptr);
  define(DefineCustomEnumVariable, "people_os_spine.actor_type", "What kind of actor acts, where the call does not say.",
                           nullptr, &settings.actor_type, 0, actor_types, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomEnumVariable, "people_os_spine.environment", "The environment that this database is.",
                           "Hashed into every event, so it has no default: ALTER DATABASE … SET it once.",
                           &settings.environment, 0, environments, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomIntVariable, "people_os_spine.max_payload_size", "The largest canonical form of a payload.", nullptr,
                          &settings.max_payload_size, 1024 * 1024, 1024, 128 * 1024 * 1024, PGC_SUSET,
                          GUC_UNIT_BYTE, nullptr, nullptr, nullptr);
  define(DefineCustomBoolVariable, "people_os_spine.require_durable_commit",
                           "A transaction with events is flushed to disk before it is acknowledged.",
                           "Also where the session says synchronous_commit = off; it is raised to local, no further.",
                           &settings.require_durable_commit, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomEnumVariable, "people_os_spine.chain_at", "When an emitted event is chained.",
                           "insert: at once. commit: just before the transaction commits or is prepared, which keeps "
                           "others of the organization waiting for no longer than that.",
                           &settings.chain_at, chain_at_insert, chain_ats, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomBoolVariable, "people_os_spine.early_lock_release",
                           "A transaction with events releases its locks before it waits for the disk.",
                           "Other sessions can see its rows a moment before they are durable or replicated.",
                           &settings.early_lock_release, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomBoolVariable, "people_os_spine.require_registered_types",
                           "An event whose type is not in spine.event_types is refused.",
                           "spine.register_event_type registers one.", &settings.require_registered_types, false,
                           PGC_SUSET, 0, nullptr, nullptr, nullptr);
  define(DefineCustomBoolVariable, "people_os_spine.notify",
                           "Listeners on channel people_os_spine are notified after each commit of events.",
                           "Without a payload, several commits at once, and not where the transaction was prepared.", &settings.notify, false, PGC_SUSET, 0,
                           nullptr, nullptr, nullptr);
  define(DefineCustomIntVariable, "people_os_spine.progress_interval", "How often a verification or a replay says how far it is.",
                          "0: never. spine.verify_progress shows it to others in any case.",
                          &settings.progress_interval, 5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
                          nullptr);
  define(DefineCustomStringVariable, "people_os_spine.unguard", "Why the guard lets through what it would refuse.",
                             "Empty: it does not. Each statement that it lets through is recorded as an event.",
                             &unguard_text, "", PGC_SUSET, 0, check_unguard, assign_unguard, nullptr);
  MarkGUCPrefixReserved("people_os_spine");
}

}  // namespace spine
