// The errors of the spine. Each has its own SQLSTATE in class SP (implementation-defined by the SQL standard),
// names the value at fault, and hints at what to do. docs/reference.md lists them.
#pragma once

#include "server/pg.h"

#define ERRCODE_SPINE_BAD_EVENT_NAME MAKE_SQLSTATE('S', 'P', '0', '0', '1')
#define ERRCODE_SPINE_NAME_DISAGREES MAKE_SQLSTATE('S', 'P', '0', '0', '2')
#define ERRCODE_SPINE_NO_ENTITY MAKE_SQLSTATE('S', 'P', '0', '0', '3')
#define ERRCODE_SPINE_NO_ACTOR MAKE_SQLSTATE('S', 'P', '0', '0', '4')
#define ERRCODE_SPINE_NO_ORGANIZATION MAKE_SQLSTATE('S', 'P', '0', '0', '5')
#define ERRCODE_SPINE_NO_ENVIRONMENT MAKE_SQLSTATE('S', 'P', '0', '0', '6')
#define ERRCODE_SPINE_ENVIRONMENT_DISAGREES MAKE_SQLSTATE('S', 'P', '0', '0', '7')
#define ERRCODE_SPINE_PAYLOAD_NOT_OBJECT MAKE_SQLSTATE('S', 'P', '0', '0', '8')
#define ERRCODE_SPINE_PAYLOAD_TOO_LARGE MAKE_SQLSTATE('S', 'P', '0', '0', '9')
#define ERRCODE_SPINE_PAYLOAD_TOO_DEEP MAKE_SQLSTATE('S', 'P', '0', '1', '0')
#define ERRCODE_SPINE_PAYLOAD_NUMBER MAKE_SQLSTATE('S', 'P', '0', '1', '1')
#define ERRCODE_SPINE_COLUMN_IS_GIVEN MAKE_SQLSTATE('S', 'P', '0', '1', '2')
#define ERRCODE_SPINE_IMMUTABLE MAKE_SQLSTATE('S', 'P', '0', '1', '3')
#define ERRCODE_SPINE_BAD_BATCH MAKE_SQLSTATE('S', 'P', '0', '1', '4')
#define ERRCODE_SPINE_NOT_STORED MAKE_SQLSTATE('S', 'P', '0', '1', '5')
#define ERRCODE_SPINE_ROLE_NAME_NOT_UTF8 MAKE_SQLSTATE('S', 'P', '0', '1', '6')
#define ERRCODE_SPINE_CHAIN_UNUSABLE MAKE_SQLSTATE('S', 'P', '0', '1', '7')
#define ERRCODE_SPINE_BAD_TABLE MAKE_SQLSTATE('S', 'P', '0', '1', '8')
#define ERRCODE_SPINE_BAD_RANGE MAKE_SQLSTATE('S', 'P', '0', '1', '9')
// SP020 (encoding) and SP021 (schema made beforehand) are raised by the install script.
#define ERRCODE_SPINE_BAD_TRIGGER MAKE_SQLSTATE('S', 'P', '0', '2', '2')
#define ERRCODE_SPINE_DAMAGED_JSON MAKE_SQLSTATE('S', 'P', '0', '2', '3')
#define ERRCODE_SPINE_GUARDED MAKE_SQLSTATE('S', 'P', '0', '2', '4')
#define ERRCODE_SPINE_UNKNOWN_EVENT_TYPE MAKE_SQLSTATE('S', 'P', '0', '2', '5')
#define ERRCODE_SPINE_CANNOT_CAPTURE MAKE_SQLSTATE('S', 'P', '0', '2', '6')
#define ERRCODE_SPINE_CAPTURED_TRUNCATE MAKE_SQLSTATE('S', 'P', '0', '2', '7')
#define ERRCODE_SPINE_CHANGE_WITHOUT_EVENT MAKE_SQLSTATE('S', 'P', '0', '2', '8')
#define ERRCODE_SPINE_UNKNOWN_SUBSCRIPTION MAKE_SQLSTATE('S', 'P', '0', '2', '9')
#define ERRCODE_SPINE_BATCH_NOT_HELD MAKE_SQLSTATE('S', 'P', '0', '3', '0')
#define ERRCODE_SPINE_BAD_SUBSCRIPTION MAKE_SQLSTATE('S', 'P', '0', '3', '1')
#define ERRCODE_SPINE_BAD_HANDLER MAKE_SQLSTATE('S', 'P', '0', '3', '2')
#define ERRCODE_SPINE_BAD_OCCURRED_AT MAKE_SQLSTATE('S', 'P', '0', '3', '3')
#define ERRCODE_SPINE_OTHER_PARTITION MAKE_SQLSTATE('S', 'P', '0', '3', '4')
#define ERRCODE_SPINE_DAMAGED_EVENT MAKE_SQLSTATE('S', 'P', '0', '4', '5')
#define ERRCODE_SPINE_DAMAGED_TABLE MAKE_SQLSTATE('S', 'P', '0', '4', '6')
#define ERRCODE_SPINE_HALF_CONTEXT MAKE_SQLSTATE('S', 'P', '0', '4', '0')
#define ERRCODE_SPINE_CONTEXT_WITHOUT_TRANSACTION MAKE_SQLSTATE('S', 'P', '0', '4', '1')
#define ERRCODE_SPINE_CONTEXT_ENDED MAKE_SQLSTATE('S', 'P', '0', '4', '2')
#define ERRCODE_SPINE_NOT_A_WRITER MAKE_SQLSTATE('S', 'P', '0', '5', '0')
#define ERRCODE_SPINE_CAPTURE_MEMBER MAKE_SQLSTATE('S', 'P', '0', '6', '0')
#define ERRCODE_SPINE_STATE_UNKNOWN MAKE_SQLSTATE('S', 'P', '0', '6', '1')
#define ERRCODE_SPINE_VALUE_NOT_IN_EVENT MAKE_SQLSTATE('S', 'P', '0', '6', '2')
#define ERRCODE_SPINE_RESERVED_EVENT_TYPE MAKE_SQLSTATE('S', 'P', '0', '7', '0')
#define ERRCODE_SPINE_UNKNOWN_EVENT MAKE_SQLSTATE('S', 'P', '0', '7', '1')
#define ERRCODE_SPINE_HELD MAKE_SQLSTATE('S', 'P', '0', '7', '2')
#define ERRCODE_SPINE_UNKNOWN_HOLD MAKE_SQLSTATE('S', 'P', '0', '7', '3')
#define ERRCODE_SPINE_NOT_ERASED MAKE_SQLSTATE('S', 'P', '0', '7', '4')
#define ERRCODE_SPINE_DECISION_IS_KEPT MAKE_SQLSTATE('S', 'P', '0', '7', '5')
#define ERRCODE_SPINE_STATE_ERASED MAKE_SQLSTATE('S', 'P', '0', '7', '6')
#define ERRCODE_SPINE_NOT_ERASABLE MAKE_SQLSTATE('S', 'P', '0', '7', '7')
#define ERRCODE_SPINE_BAD_ERASURES MAKE_SQLSTATE('S', 'P', '0', '7', '8')
#define ERRCODE_SPINE_KEPT MAKE_SQLSTATE('S', 'P', '0', '7', '9')
#define ERRCODE_SPINE_DAMAGED_PAGE MAKE_SQLSTATE('S', 'P', '0', '8', '0')
#define ERRCODE_SPINE_BAD_INTERVAL MAKE_SQLSTATE('S', 'P', '0', '8', '5')
#define ERRCODE_SPINE_PARTITION_BUSY MAKE_SQLSTATE('S', 'P', '0', '8', '6')
#define ERRCODE_SPINE_PARTITION_EXISTS MAKE_SQLSTATE('S', 'P', '0', '8', '7')
#define ERRCODE_SPINE_BAD_PARTITION MAKE_SQLSTATE('S', 'P', '0', '8', '8')
#define ERRCODE_SPINE_NOT_RETIRABLE MAKE_SQLSTATE('S', 'P', '0', '8', '9')
#define ERRCODE_SPINE_NOT_INTACT MAKE_SQLSTATE('S', 'P', '0', '9', '0')
#define ERRCODE_SPINE_NOT_IN_TREE MAKE_SQLSTATE('S', 'P', '1', '0', '0')
#define ERRCODE_SPINE_RETIRED_EVENT MAKE_SQLSTATE('S', 'P', '1', '0', '1')
#define ERRCODE_SPINE_BROKEN_PROOF MAKE_SQLSTATE('S', 'P', '1', '0', '2')
#define ERRCODE_SPINE_BAD_NOTE MAKE_SQLSTATE('S', 'P', '1', '0', '3')
#define ERRCODE_SPINE_NOT_SIGNED MAKE_SQLSTATE('S', 'P', '1', '0', '4')
#define ERRCODE_SPINE_RECORD_IS_KEPT MAKE_SQLSTATE('S', 'P', '1', '0', '5')
#define ERRCODE_SPINE_LINE_TOO_LONG MAKE_SQLSTATE('S', 'P', '1', '0', '6')
#define ERRCODE_SPINE_BATCH_NOT_SET_ASIDE MAKE_SQLSTATE('S', 'P', '1', '1', '0')
#define ERRCODE_SPINE_BAD_RULE MAKE_SQLSTATE('S', 'P', '1', '3', '0')
#define ERRCODE_SPINE_RULE_NOT_EVALUATED MAKE_SQLSTATE('S', 'P', '1', '3', '1')
#define ERRCODE_SPINE_BAD_RULE_TESTS MAKE_SQLSTATE('S', 'P', '1', '3', '2')
#define ERRCODE_SPINE_RULE_TEST_FAILED MAKE_SQLSTATE('S', 'P', '1', '3', '3')
#define ERRCODE_SPINE_BAD_RULE_NAME MAKE_SQLSTATE('S', 'P', '1', '3', '4')
#define ERRCODE_SPINE_UNKNOWN_RULE MAKE_SQLSTATE('S', 'P', '1', '3', '5')
#define ERRCODE_SPINE_NOT_THE_WATCHS MAKE_SQLSTATE('S', 'P', '1', '3', '6')
#define ERRCODE_SPINE_BAD_MAX_EVENTS MAKE_SQLSTATE('S', 'P', '1', '3', '7')
#define ERRCODE_SPINE_UNKNOWN_FINDING MAKE_SQLSTATE('S', 'P', '1', '3', '8')
#define ERRCODE_SPINE_BAD_VERDICT MAKE_SQLSTATE('S', 'P', '1', '3', '9')
#define ERRCODE_SPINE_BAD_CALENDAR MAKE_SQLSTATE('S', 'P', '1', '4', '0')
#define ERRCODE_SPINE_BAD_RISK MAKE_SQLSTATE('S', 'P', '1', '4', '1')
#define ERRCODE_SPINE_PERSONS_NOT_SCORED MAKE_SQLSTATE('S', 'P', '1', '4', '2')
#define ERRCODE_SPINE_NOT_CAPTURED MAKE_SQLSTATE('S', 'P', '1', '4', '3')
#define ERRCODE_SPINE_BAD_SERIES MAKE_SQLSTATE('S', 'P', '1', '5', '0')
#define ERRCODE_SPINE_SHORT_SERIES MAKE_SQLSTATE('S', 'P', '1', '5', '1')
#define ERRCODE_SPINE_BAD_HORIZON MAKE_SQLSTATE('S', 'P', '1', '5', '2')
#define ERRCODE_SPINE_DISTRIBUTED MAKE_SQLSTATE('S', 'P', '1', '7', '0')
// Standard codes, because drivers and poolers act on them: 25006 for read-only transactions and standbys,
// 42501 for privileges, 53200 for memory, 22P02 for a text that is no uuid or no label of an enum.
// SPW01 is the warning about restored rows that do not reproduce their hashes.
#define ERRCODE_SPINE_RESTORED_ROW_ALTERED MAKE_SQLSTATE('S', 'P', 'W', '0', '1')

namespace spine {

// A copy of text for a message: at most 200 bytes, cut at a character, with an ellipsis where it was cut.
const char *clipped(std::string_view text);

const char *uuid_text(const Uuid &uuid);

// Raises 22004 where an argument that says why is null or empty.
void require_reason(FunctionCallInfo fcinfo, int argument);

// Raises what a core function reported. what: the value at fault; written: the canonical form as far as it
// came. Never returns.
[[noreturn]] void report(Status status, const char *what, std::string_view written = {});

}  // namespace spine
