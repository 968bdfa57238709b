// Fixed records with bytes behind, sorted by the server as bytes, on disk where their memory ends.
#pragma once

#include "server/compat.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <miscadmin.h>
#include <utils/resowner.h>
#include <utils/typcache.h>
}

namespace spine {

class RecordSort {
 public:
  // coordinate: a part of a sort that several processes share, or what merges the parts; null: a sort of its own.
  void begin(int kilobytes, SortCoordinate coordinate = nullptr) {
    last_ = nullptr;
    owner_ = CurrentResourceOwner;
    sort_ = tuplesort_begin_datum(BYTEAOID, lookup_type_cache(BYTEAOID, TYPECACHE_LT_OPR)->lt_opr, InvalidOid, false,
                                  kilobytes, coordinate, TUPLESORT_NONE);
  }
  void put(const void *record, size_t size, const void *tail = nullptr, size_t tail_size = 0) {
    bytea *datum = static_cast<bytea *>(palloc(VARHDRSZ + size + tail_size));
    SET_VARSIZE(datum, VARHDRSZ + size + tail_size);
    memcpy(VARDATA(datum), record, size);
    if (tail_size > 0) memcpy(VARDATA(datum) + size, tail, tail_size);
    // Its files must outlive a subtransaction that began after it.
    ResourceOwner current = CurrentResourceOwner;
    CurrentResourceOwner = owner_;
    tuplesort_putdatum(sort_, PointerGetDatum(datum), false);
    CurrentResourceOwner = current;
    pfree(datum);
  }
  void sort() { tuplesort_performsort(sort_); }
  // False after the last one. The bytes hold until the next call.
  bool next(Bytes *record) {
    // The sort hands out copies.
    if (last_ != nullptr) pfree(last_);
    last_ = nullptr;
    Datum datum;
    bool null;
    if (!compat_sorted_datum(sort_, &datum, &null)) return false;
    last_ = DatumGetPointer(datum);
    *record = bytes_view(last_);
    return true;
  }
  void end() { tuplesort_end(sort_); }

 private:
  Tuplesortstate *sort_;
  void *last_;
  ResourceOwner owner_;
};

}  // namespace spine
