#include "capture/row_value.h"

#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "server/subtransaction.h"

extern "C" {
#include <access/detoast.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <access/transam.h>
#include <nodes/makefuncs.h>
#include <utils/datetime.h>
#include <utils/datum.h>
#include <utils/fmgroids.h>
#include <utils/json.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/numeric.h>
#include <utils/resowner.h>
}

namespace spine {

namespace {

// to_jsonb for those types, without its look-ups. Gives the same.
bool is_written_here(Oid type) {
  switch (type) {
    case BOOLOID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case NUMERICOID:
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case UUIDOID:
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case JSONBOID:
      return true;
    default:
      return false;
  }
}

bool is_string(Oid type) { return type == TEXTOID || type == VARCHAROID || type == BPCHAROID; }

bool conversion_can_fail(Oid type) {
  Oid element = get_base_element_type(type);
  if (OidIsValid(element)) type = getBaseType(element);
  if (type == JSONOID) return true;
  char kind = get_typtype(type);
  return kind == TYPTYPE_COMPOSITE || (kind != TYPTYPE_ENUM && type >= FirstNormalObjectId);
}

JsonbValue json_number(Numeric number) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = number;
  return value;
}

JsonbValue json_stored(Datum datum) {
  Jsonb *stored = DatumGetJsonbP(datum);
  JsonbValue value;
  if (JB_ROOT_IS_SCALAR(stored)) {
    (void)JsonbExtractScalar(&stored->root, &value);
    return value;
  }
  value.type = jbvBinary;
  value.val.binary.data = &stored->root;
  value.val.binary.len = static_cast<int>(VARSIZE(stored) - VARHDRSZ);
  return value;
}

// Whether a json is one that any jsonb can hold: no escape of a character that might be none, no number or nesting that
// might be too much.
bool is_plain_json(std::string_view text) {
  int digits = 0, containers = 0;
  bool in_exponent = false;
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '\\' && i + 1 < text.size() && text[i + 1] == 'u') return false;
    containers += c == '[' || c == '{';
    if (c >= '0' && c <= '9') {
      if (++digits > (in_exponent ? 2 : 500)) return false;
    } else {
      if (c != '+' && c != '-') in_exponent = (c == 'e' || c == 'E') && digits > 0;
      if (c != '.') digits = 0;
    }
  }
  return containers < 500;
}

// False: it raised an error, other than that of a cancel or of what the server lacks.
template <class Work>
bool survives(Work work) {
  auto is_of_the_value = [](const ErrorData &error) {
    int category = ERRCODE_TO_CATEGORY(error.sqlerrcode);
    return category != ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) &&
           category != ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES);
  };
  return catch_error(work, is_of_the_value) == nullptr;
}

JsonbValue json_written_here(const RowColumn &column, Datum datum) {
  JsonbValue value;
  switch (column.type) {
    case BOOLOID:
      value.type = jbvBool;
      value.val.boolean = DatumGetBool(datum);
      return value;
    case INT2OID:
      return json_number(int64_to_numeric(DatumGetInt16(datum)));
    case INT4OID:
      return json_number(int64_to_numeric(DatumGetInt32(datum)));
    case INT8OID:
      return json_number(int64_to_numeric(DatumGetInt64(datum)));
    case NUMERICOID: {
      Numeric number = DatumGetNumeric(datum);
      if (numeric_is_nan(number) || numeric_is_inf(number))
        return json_text(DatumGetCString(DirectFunctionCall1(numeric_out, datum)));
      return json_number(number);
    }
    case UUIDOID: {
      const char *text = uuid_text(uuid_of(datum));
      return json_text(text);
    }
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID: {
      int utc = 0;
      char *text = static_cast<char *>(palloc(MAXDATELEN + 1));
      JsonEncodeDateTime(text, datum, column.type, column.type == TIMESTAMPTZOID ? &utc : nullptr);
      return json_text(text);
    }
    case JSONBOID:
      return json_stored(datum);
    default:
      return json_text(text_view(PG_DETOAST_DATUM_PACKED(datum)));
  }
}

}  // namespace

RowColumn row_column(Relation relation, AttrNumber attnum, MemoryContext memory) {
  Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
  RowColumn column{};
  column.attnum = attnum;
  column.name = NameStr(attribute->attname);
  column.type = getBaseType(attribute->atttypid);
  column.length = attribute->attlen;
  column.by_value = attribute->attbyval;
  if (is_written_here(column.type)) return column;
  column.can_fail = conversion_can_fail(column.type);
  MemoryContext before = MemoryContextSwitchTo(memory);
  column.to_jsonb = static_cast<FmgrInfo *>(palloc(sizeof(FmgrInfo)));
  fmgr_info(F_TO_JSONB, column.to_jsonb);
  Const *of_type = makeNullConst(attribute->atttypid, -1, InvalidOid);
  fmgr_info_set_expr(reinterpret_cast<Node *>(makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(of_type), InvalidOid, InvalidOid,
                                                            COERCE_EXPLICIT_CALL)),
                     column.to_jsonb);
  MemoryContextSwitchTo(before);
  return column;
}

size_t stored_size(const RowColumn &column, Datum datum) {
  return column.length == -1 ? toast_raw_datum_size(datum) - VARHDRSZ : 0;
}

bool json_of(const RowColumn &column, Datum datum, bool null, JsonbValue *value) {
  if (null) {
    value->type = jbvNull;
    return true;
  }
  // What no event can hold need not be fetched. A jsonb is never more than eight times what it says, a json may be mostly blanks.
  size_t limit = static_cast<size_t>(settings.max_payload_size);
  if (stored_size(column, datum) > (is_string(column.type) ? limit : 8 * limit)) return false;
  if (column.to_jsonb == nullptr) {
    *value = json_written_here(column, datum);
    return true;
  }
  auto convert = [&] { *value = json_stored(FunctionCall1(column.to_jsonb, datum)); };
  if (!column.can_fail || (column.type == JSONOID && is_plain_json(text_view(PG_DETOAST_DATUM_PACKED(datum))))) {
    convert();
    return true;
  }
  return survives(convert);
}

bool is_same_value(const RowColumn &column, Datum before, bool before_null, Datum after, bool after_null) {
  if (before_null || after_null) return before_null == after_null;
  if (column.length == -1) {
    // An UPDATE leaves a value that it does not touch where it is.
    const void *b = DatumGetPointer(before), *a = DatumGetPointer(after);
    if (VARATT_IS_EXTERNAL_ONDISK(b) && VARATT_IS_EXTERNAL_ONDISK(a) && memcmp(b, a, VARSIZE_EXTERNAL(b)) == 0) return true;
  }
  return datum_image_eq(before, after, column.by_value, column.length);
}

bool is_changed(const RowColumn &column, Datum before, bool before_null, Datum after, bool after_null) {
  if (is_same_value(column, before, before_null, after, after_null)) return false;
  if (before_null || after_null) return true;
  if (column.type == NUMERICOID) return !DatumGetBool(DirectFunctionCall2(numeric_eq, before, after));
  // Of all others that are written here, what differs in its bytes differs in what is said.
  if (column.to_jsonb == nullptr && column.type != JSONBOID) return true;
  JsonbValue was, is;
  if (!json_of(column, before, false, &was) || !json_of(column, after, false, &is)) return true;
  return compareJsonbContainers(&JsonbValueToJsonb(&was)->root, &JsonbValueToJsonb(&is)->root) != 0;
}

bool describe(const RowColumn &column, Datum datum, int64 *size, Hash *digest) {
  const varlena *bytes = nullptr;
  auto fetch = [&] {
    if (is_string(column.type) || column.type == BYTEAOID || column.type == JSONOID || column.type == XMLOID) {
      bytes = PG_DETOAST_DATUM_PACKED(datum);
    } else {
      Oid output;
      bool is_varlena;
      getTypeOutputInfo(column.type, &output, &is_varlena);
      bytes = cstring_to_text(OidOutputFunctionCall(output, datum));
    }
    *size = static_cast<int64>(VARSIZE_ANY_EXHDR(bytes));
    const varlena *hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(bytes)));
    memcpy(digest->data(), VARDATA_ANY(hash), digest->size());
  };
  return survives(fetch);
}

}  // namespace spine
