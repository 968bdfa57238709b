#include "guard/refusal.h"

#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/event_types.h"
#include "store/platform_event.h"

extern "C" {
#include <access/xact.h>
#include <catalog/objectaddress.h>
#include <mb/pg_wchar.h>
#include <tcop/tcopprot.h>
#include <utils/jsonb.h>
}

namespace spine {

GuardedStatement current_statement;

namespace {

constexpr int longest_text = 500;

const char *clipped_text(const char *text, int length) {
  if (text == nullptr) return "";
  if (length <= 0) length = static_cast<int>(strlen(text));
  return pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, length, longest_text)));
}

const char *statement_text() {
  if (current_statement.text == nullptr) return clipped_text(debug_query_string, 0);
  return clipped_text(current_statement.text, current_statement.length);
}

// Emits platform.spine.unguarded, chained at once: the table may be gone at the commit.
void record(const char *command, const char *object, const char *statement) {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  const char *members[][2] = {
      {"command", command}, {"object", object}, {"reason", settings.unguard}, {"statement", statement}};
  for (const auto &member : members) push_member(&state, member[0], json_text(member[1]));
  Jsonb *payload = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
  emit_platform_event(unguarded_event, "people_os_spine", "critical", JsonbPGetDatum(payload), ChainedWhen::at_once);
}

void raise_unless_unguarded(const char *command, const char *object) {
  if (settings.unguard[0] != '\0') return;
  ereport(ERROR,
          (errcode(ERRCODE_SPINE_GUARDED), errmsg("the spine is guarded: %s is refused for %s", command, object),
           errhint("It could change or expose stored events, or replace what the spine runs. An administrator who "
                   "means it says why in people_os_spine.unguard, in this session; that is recorded as an event.")));
}

}  // namespace

void refuse(const char *object) {
  if (current_statement.is_recorded) return;
  const char *command = GetCommandTagName(current_statement.tag);
  raise_unless_unguarded(command, object);
  // First, so that nothing that the recording does is judged.
  current_statement.is_recorded = true;
  record(command, object, statement_text());
}

void refuse_object(Oid classid, Oid object) {
  ObjectAddress address;
  ObjectAddressSet(address, classid, object);
  // Of what the running command makes, the server has no description yet.
  const char *description = getObjectDescription(&address, true);
  refuse(description != nullptr ? description : psprintf("%s %u", get_object_class_descr(classid), object));
}

void refuse_query(const char *command, const char *object, const char *text) {
  raise_unless_unguarded(command, object);
  record(command, object, clipped_text(text, 0));
  // What the query that has begun does is of the command before the event's: its end must be one to be seen after.
  (void)GetCurrentCommandId(true);
}

}  // namespace spine
