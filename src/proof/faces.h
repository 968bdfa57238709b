// What the SQL faces of proofs share.
#pragma once

#include "core/merkle.h"
#include "server/pg.h"

namespace spine {

inline Datum hash_datum(const Hash &hash) { return bytea_datum({hash.data(), hash.size()}); }

// A bytea[] of the proof's hashes.
Datum proof_datum(const Proof &proof);

// Raises SP100 where the old tree is larger than the new one.
void require_order(int64 old_size, int64 new_size);

// Puts a row into the result of a function that InitMaterializedSRF began.
void put_row(FunctionCallInfo fcinfo, const Datum *values, const bool *nulls = nullptr);

// The organizations that the current role may have hashes of: those whose events it may read, and as a notary all.
bool may_prove(const Uuid &organization);

}  // namespace spine
