#include "server/errors.h"

#include "core/uuid.h"
#include "server/settings.h"

extern "C" {
#include <mb/pg_wchar.h>
}

namespace spine {

const char *clipped(std::string_view text) {
  constexpr int limit = 200;
  int size = static_cast<int>(Min(text.size(), static_cast<size_t>(limit + 1)));
  if (size <= limit) return pnstrdup(text.data(), text.size());
  size = pg_mbcliplen(text.data(), size, limit);
  return psprintf("%.*s…", size, text.data());
}

void require_reason(FunctionCallInfo fcinfo, int argument) {
  if (PG_ARGISNULL(argument) || VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(argument)) == 0)
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("reason is null or empty"),
                    errhint("Say in a line why, without a person's data: it is recorded as an event.")));
}

const char *uuid_text(const Uuid &uuid) {
  char *text = static_cast<char *>(palloc(37));
  *write_uuid(text, uuid) = '\0';
  return text;
}

void report(Status status, const char *what, std::string_view written) {
  switch (status) {
    case Status::out_of_memory:
      ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory for the canonical form of %s", what),
                      errhint("Retry when less memory is in use, or send less in one value.")));
    case Status::crypto_failed:
      ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION), errmsg("OpenSSL gave no digest for %s", what),
                      errhint("Check the OpenSSL configuration of the server: SHA-256 and SHA-1 must be available.")));
    case Status::not_an_object:
      ereport(ERROR, (errcode(ERRCODE_SPINE_PAYLOAD_NOT_OBJECT), errmsg("%s is not a JSON object", what),
                      errhint("Wrap the value in an object, such as {\"value\": …}.")));
    case Status::too_large:
      ereport(ERROR,
              (errcode(ERRCODE_SPINE_PAYLOAD_TOO_LARGE),
               errmsg("the canonical form of %s is larger than %d bytes", what, settings.max_payload_size),
               errhint("Store the bulk elsewhere and reference it from the event, or have a superuser raise "
                       "people_os_spine.max_payload_size.")));
    case Status::too_deep:
      ereport(ERROR, (errcode(ERRCODE_SPINE_PAYLOAD_TOO_DEEP),
                      errmsg("%s is nested more than %d levels deep", what, static_cast<int>(max_payload_depth)),
                      errhint("Flatten the payload: the object itself is level 1.")));
    case Status::number_out_of_range:
      ereport(ERROR, (errcode(ERRCODE_SPINE_PAYLOAD_NUMBER),
                      errmsg("%s holds the number %s, outside the range of 1e-324 to 1e308", what,
                             clipped(written.substr(written.find_last_of(":,[") + 1))),
                      errhint("Send such a number as a string.")));
    case Status::malformed:
    case Status::ok:
      break;
  }
  ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_JSON), errmsg("%s is not valid stored JSON", what),
                  errhint("The value is damaged, or holds NaN or infinity as a number: look for the row with "
                          "spine.find_chain_faults(), and check the disk.")));
}

}  // namespace spine
