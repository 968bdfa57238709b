// The server's headers for C++, and what every file of the shell needs. Include it first.
//
// An error in the server jumps past destructors: no function of the shell keeps an object with one on its
// stack, core objects live as long as the backend, and core functions are noexcept and report failure as a
// value, after which the shell may raise an error.
#pragma once

extern "C" {
#include <pg_config.h>

// Before 16 PostgreSQL does not mark what -fvisibility=hidden must leave visible.
#if PG_VERSION_NUM < 160000
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

#include <postgres.h>
#if PG_VERSION_NUM >= 160000
#include <varatt.h>
#endif

#include <fmgr.h>
#include <utils/builtins.h>
#include <utils/uuid.h>
}

#include "core/event.h"

namespace spine {

// The backend's one Hasher. Raises 53200 where there is no memory for it.
Hasher &hasher();

inline Uuid uuid_of(Datum datum) {
  Uuid uuid;
  memcpy(uuid.data(), DatumGetUUIDP(datum)->data, UUID_LEN);
  return uuid;
}

// Takes each step once, however often it is called: where one raises an error, the next call goes on with it. So the
// library can be loaded again after it could not be.
template <void (*... steps)()>
void run_steps() {
  static unsigned done = 0;
  void (*const all[])() = {steps...};
  for (; done < lengthof(all); done++) all[done]();
}

// A palloc'ed copy.
inline Datum uuid_datum(const Uuid &uuid) {
  pg_uuid_t *copy = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
  memcpy(copy->data, uuid.data(), UUID_LEN);
  return UUIDPGetDatum(copy);
}

inline Datum bytea_datum(Bytes bytes) {
  bytea *copy = static_cast<bytea *>(palloc(VARHDRSZ + bytes.size));
  SET_VARSIZE(copy, VARHDRSZ + bytes.size);
  memcpy(VARDATA(copy), bytes.data, bytes.size);
  return PointerGetDatum(copy);
}

inline Datum text_datum(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

// Of a datum that was detoasted, or stored plain.
inline std::string_view text_view(const void *varlena) {
  return {VARDATA_ANY(varlena), VARSIZE_ANY_EXHDR(varlena)};
}
inline Bytes bytes_view(const void *varlena) {
  return {reinterpret_cast<const uint8_t *>(VARDATA_ANY(varlena)), VARSIZE_ANY_EXHDR(varlena)};
}

}  // namespace spine
