// Compiled into a test's copy of the extension, lets one call of it fail that could: of the server, of the allocators, of
// OpenSSL. The linker sends each call here (--wrap, for each WRAP and each __wrap_ below); the test says which is to fail by
// SET failing.call = 'serial/n': the n-th from then on. Where that happens the server's log names the call.
//
// The setting is nobody's, so the server passes it on to parallel workers, which then count for themselves.
#include "server/compat.h"

#include <new>

extern "C" {
#include <access/detoast.h>
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/parallel.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/toast_internals.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/objectaddress.h>
#include <catalog/partition.h>
#include <catalog/pg_inherits.h>
#include <commands/dbcommands.h>
#include <commands/extension.h>
#include <commands/tablecmds.h>
#include <commands/trigger.h>
#include <executor/spi.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <openssl/evp.h>
#include <parser/parse_coerce.h>
#include <parser/parse_type.h>
#include <rewrite/rewriteHandler.h>
#include <storage/bufmgr.h>
#include <storage/fd.h>
#include <storage/ipc.h>
#include <storage/lmgr.h>
#include <storage/shm_toc.h>
#include <utils/acl.h>
#include <utils/guc.h>
#include <utils/inval.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
#include <utils/tuplestore.h>
#include <utils/typcache.h>
}

namespace {

bool is_due(const char *name) {
  static char armed[32];
  static int left;
  const char *said = GetConfigOption("failing.call", true, false);
  if (said == nullptr || *said == '\0') return false;
  if (strcmp(said, armed) != 0) {
    strlcpy(armed, said, sizeof armed);
    left = atoi(strchr(said, '/') + 1);
  }
  if (left == 0 || --left > 0) return false;
  fprintf(stderr, "failing call %s: %s%s\n", said, name, IsParallelWorker() ? " in a worker" : "");
  return true;
}

void raise_if_due(const char *name) {
  if (is_due(name)) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("%s was made to fail.", name)));
}

template <class Function>
struct Through;
template <class Result, class... Arguments>
struct Through<Result(Arguments...)> {
  template <Result (*real)(Arguments...), const char *name>
  static Result call(Arguments... arguments) {
    raise_if_due(name);
    return real(arguments...);
  }
};

}  // namespace

// The resolver stands for the type of the arguments, which nobody needs to write down then.
#define WRAP(function)                                                                                        \
  extern "C" decltype(function) __real_##function;                                                            \
  static constexpr char name_of_##function[] = #function;                                                     \
  extern "C" decltype(&function) resolve_##function() {                                                       \
    return &Through<decltype(function)>::call<__real_##function, name_of_##function>;                           \
  }                                                                                                           \
  extern "C" decltype(function) __wrap_##function __attribute__((ifunc("resolve_" #function)));

WRAP(AcceptInvalidationMessages)
WRAP(AfterTriggerBeginQuery)
WRAP(AfterTriggerEndQuery)
WRAP(AfterTriggerFireDeferred)
WRAP(AllocSetContextCreateInternal)
WRAP(AllocateDir)
WRAP(AlterTableLookupRelation)
WRAP(BeginInternalSubTransaction)
WRAP(CacheInvalidateRelcache)
WRAP(CommandCounterIncrement)
WRAP(CopyErrorData)
WRAP(CreateExecutorState)
WRAP(CreateParallelContext)
WRAP(DefineCustomBoolVariable)
WRAP(DefineCustomEnumVariable)
WRAP(DefineCustomIntVariable)
WRAP(DefineCustomStringVariable)
WRAP(DirectFunctionCall3Coll)
WRAP(EnterParallelMode)
WRAP(ExecARInsertTriggers)
WRAP(ExecASInsertTriggers)
WRAP(ExecBRInsertTriggers)
WRAP(ExecBSInsertTriggers)
WRAP(ExecConstraints)
WRAP(ExecFetchSlotHeapTuple)
WRAP(ExecInitExtraTupleSlot)
WRAP(ExecInsertIndexTuples)
WRAP(ExecOpenIndices)
WRAP(ExecPrepareExpr)
WRAP(GetCatalogSnapshot)
WRAP(GetLatestSnapshot)
WRAP(GetSysCacheOid)
WRAP(GetTopFullTransactionId)
WRAP(GetTransactionSnapshot)
WRAP(GetUserNameFromId)
WRAP(InitMaterializedSRF)
WRAP(InitResultRelInfo)
WRAP(InitializeParallelDSM)
WRAP(JsonbIteratorInit)
WRAP(JsonbIteratorNext)
WRAP(JsonbValueToJsonb)
WRAP(LaunchParallelWorkers)
WRAP(LockAcquire)
WRAP(LockRelationOid)
WRAP(MakePerTupleExprContext)
WRAP(MakeTransitionCaptureState)
WRAP(MemoryContextAlloc)
WRAP(MemoryContextAllocHuge)
#if PG_VERSION_NUM < 170000
WRAP(MemoryContextAllocZeroAligned)
#endif
WRAP(PushActiveSnapshot)
WRAP(QualifiedNameGetCreationNamespace)
WRAP(RangeVarGetRelidExtended)
WRAP(ReadBuffer)
WRAP(ReadDirExtended)
WRAP(RegisterResourceReleaseCallback)
WRAP(RegisterSnapshot)
WRAP(RegisterSubXactCallback)
WRAP(RegisterXactCallback)
WRAP(RelationGetIndexList)
WRAP(RelationGetIndexPredicate)
WRAP(RelationGetNumberOfBlocksInFork)
WRAP(RestoreSnapshot)
WRAP(SPI_connect)
WRAP(SPI_execute)
WRAP(SPI_execute_snapshot)
WRAP(SPI_execute_with_args)
WRAP(SPI_getvalue)
WRAP(SPI_prepare)
WRAP(SearchSysCache1)
WRAP(WaitForParallelWorkersToFinish)
WRAP(build_column_default)
WRAP(check_enable_rls)
WRAP(cstring_to_text)
WRAP(cstring_to_text_with_len)
WRAP(detoast_attr)
WRAP(format_type_be)
WRAP(getObjectDescription)
WRAP(get_extension_oid)
WRAP(get_func_name)
WRAP(get_func_namespace)
WRAP(get_namespace_oid)
WRAP(get_object_address)
WRAP(get_rel_name)
WRAP(get_rel_namespace)
WRAP(get_relname_relid)
WRAP(get_typ_typrelid)
WRAP(get_typtype)
WRAP(has_privs_of_role)
WRAP(hash_create)
WRAP(heap_copytuple)
WRAP(heap_deform_tuple)
WRAP(heap_form_tuple)
WRAP(index_beginscan)
WRAP(index_getnext_slot)
WRAP(index_open)
WRAP(index_rescan)
WRAP(lookup_type_cache)
WRAP(on_proc_exit)
WRAP(palloc)
WRAP(palloc0)
WRAP(pg_class_aclcheck)
WRAP(pg_detoast_datum)
WRAP(pg_detoast_datum_packed)
WRAP(pnstrdup)
WRAP(pushJsonbValue)
WRAP(relation_open)
WRAP(repalloc_huge)
WRAP(shm_toc_allocate)
WRAP(shm_toc_lookup)
WRAP(slot_getsomeattrs_int)
WRAP(standard_ExecutorStart)
WRAP(superuser)
WRAP(superuser_arg)
WRAP(systable_beginscan)
WRAP(systable_getnext)
WRAP(table_open)
WRAP(table_slot_create)
WRAP(tuplesort_attach_shared)
WRAP(tuplesort_begin_datum)
WRAP(tuplesort_getdatum)
WRAP(tuplesort_performsort)
WRAP(tuplesort_putdatum)
WRAP(tuplestore_puttupleslot)
WRAP(tuplestore_putvalues)

extern "C" {

// Only an entry that is new takes memory. Others are looked for when nothing may fail any more.
decltype(hash_search) __real_hash_search;
void *__wrap_hash_search(HTAB *table, const void *key, HASHACTION action, bool *found) {
  if (action == HASH_ENTER) raise_if_due("hash_search");
  return __real_hash_search(table, key, action, found);
}

decltype(psprintf) __real_psprintf;
char *__wrap_psprintf(const char *format, ...) {
  raise_if_due("psprintf");
  char message[65536];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return pstrdup(message);
}

// At the commit the server's own way to change a setting may fail; in any other place it is not called.
decltype(set_config_option) __real_set_config_option;
int __wrap_set_config_option(const char *name, const char *value, GucContext context, GucSource source, GucAction action,
                             bool change, int elevel, bool is_reload) {
  raise_if_due("set_config_option");
  return __real_set_config_option(name, value, context, source, action, change, elevel, is_reload);
}

decltype(pg_strong_random) __real_pg_strong_random;
bool __wrap_pg_strong_random(void *bytes, size_t size) {
  return !is_due("pg_strong_random") && __real_pg_strong_random(bytes, size);
}

decltype(realloc) __real_realloc;
void *__wrap_realloc(void *old, size_t size) { return is_due("realloc") ? nullptr : __real_realloc(old, size); }

// operator new, of both kinds.
void *__real__Znwm(size_t size);
void *__wrap__Znwm(size_t size) {
  if (is_due("new")) throw std::bad_alloc();
  return __real__Znwm(size);
}
void *__real__ZnwmRKSt9nothrow_t(size_t size, const std::nothrow_t &);
void *__wrap__ZnwmRKSt9nothrow_t(size_t size, const std::nothrow_t &nothrow) {
  return is_due("new") ? nullptr : __real__ZnwmRKSt9nothrow_t(size, nothrow);
}

decltype(EVP_MD_CTX_new) __real_EVP_MD_CTX_new;
EVP_MD_CTX *__wrap_EVP_MD_CTX_new() { return is_due("EVP_MD_CTX_new") ? nullptr : __real_EVP_MD_CTX_new(); }

decltype(EVP_MD_fetch) __real_EVP_MD_fetch;
EVP_MD *__wrap_EVP_MD_fetch(OSSL_LIB_CTX *library, const char *algorithm, const char *properties) {
  return is_due("EVP_MD_fetch") ? nullptr : __real_EVP_MD_fetch(library, algorithm, properties);
}

decltype(EVP_DigestInit_ex) __real_EVP_DigestInit_ex;
int __wrap_EVP_DigestInit_ex(EVP_MD_CTX *context, const EVP_MD *type, ENGINE *engine) {
  return is_due("EVP_DigestInit_ex") ? 0 : __real_EVP_DigestInit_ex(context, type, engine);
}

decltype(EVP_DigestInit_ex2) __real_EVP_DigestInit_ex2;
int __wrap_EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *type, const OSSL_PARAM *parameters) {
  return is_due("EVP_DigestInit_ex2") ? 0 : __real_EVP_DigestInit_ex2(context, type, parameters);
}

decltype(EVP_DigestUpdate) __real_EVP_DigestUpdate;
int __wrap_EVP_DigestUpdate(EVP_MD_CTX *context, const void *data, size_t size) {
  return is_due("EVP_DigestUpdate") ? 0 : __real_EVP_DigestUpdate(context, data, size);
}

decltype(EVP_DigestFinal_ex) __real_EVP_DigestFinal_ex;
int __wrap_EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *digest, unsigned int *size) {
  return is_due("EVP_DigestFinal_ex") ? 0 : __real_EVP_DigestFinal_ex(context, digest, size);
}

}
