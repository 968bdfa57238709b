// How far a verification is: notices to its client, and a file for those who look at spine.verify_progress.
#pragma once

#include "server/pg.h"

extern "C" {
#include <datatype/timestamp.h>
#include <port/atomics.h>
#include <storage/block.h>
}

namespace spine {

// What all processes of a verification have read together.
struct ReadCounts {
  pg_atomic_uint64 rows;
  pg_atomic_uint64 blocks;
};

struct VerifyProgress {
  ReadCounts *counts;   // shared where there are workers
  ReadCounts own;
  bool reports;         // this process is the one that was asked
  bool counts_hidden;   // from its client, who may not know how many events others have
  bool has_organization;
  Uuid organization;
  uint64 blocks_total;
  TimestampTz started;
  TimestampTz noticed;
  TimestampTz next_write;
};

// Nothing is read yet, of so many blocks.
void begin_progress(VerifyProgress *progress, uint64 blocks);

// So much more was read by this process. Reports where it is time to.
void advance_progress(VerifyProgress *progress, uint64 rows, uint64 blocks);

// Nobody can see the verification any more. Also happens when the context in which it began is reset.
void end_progress();

}  // namespace spine
