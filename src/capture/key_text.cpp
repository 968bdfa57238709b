#include "capture/key_text.h"

extern "C" {
#include <catalog/pg_type.h>
#include <parser/parse_coerce.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

constexpr const char *pinned_settings[][2] = {
    {"TimeZone", "UTC"},       {"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"extra_float_digits", "1"},
    {"bytea_output", "hex"},   {"lc_monetary", "C"},      {"quote_all_identifiers", "off"},
    {"search_path", "pg_catalog, pg_temp"}};

}  // namespace

void PinnedSettings::begin() {
  level_ = NewGUCNestLevel();
  for (const auto &setting : pinned_settings)
    (void)set_config_option(setting[0], setting[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void PinnedSettings::end() { AtEOXact_GUC(true, level_); }

void KeyText::find(Oid type, MemoryContext memory) {
  Oid function;
  CoercionPathType path = find_coercion_pathway(TEXTOID, type, COERCION_EXPLICIT, &function);
  is_cast_ = path == COERCION_PATH_FUNC && get_func_nargs(function) == 1;
  if (!is_cast_) {
    bool is_varlena;
    getTypeOutputInfo(type, &function, &is_varlena);
  }
  fmgr_info_cxt(function, &function_, memory);
  needs_pinned_settings_ = type != TEXTOID && type != VARCHAROID && type != INT4OID && type != INT8OID;
}

Datum KeyText::of(Datum id) {
  return is_cast_ ? FunctionCall1(&function_, id) : CStringGetTextDatum(OutputFunctionCall(&function_, id));
}

}  // namespace spine
