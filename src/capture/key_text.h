// Which entity an id that is no uuid names, in capture and the rule.
#pragma once

#include "server/pg.h"

namespace spine {

// What the text of a value depends on, as it is from begin to end: one text in every session. An error ends it too, with
// the (sub)transaction.
class PinnedSettings {
 public:
  void begin();
  void end();

 private:
  int level_;
};

// The text of ids of one type as the cast to text gives it, which is what people call spine.entity_uuid with.
class KeyText {
 public:
  // What it looks up lives as long as the memory context.
  void find(Oid type, MemoryContext memory);

  // Whether of() is to be called with PinnedSettings.
  bool needs_pinned_settings() const { return needs_pinned_settings_; }

  Datum of(Datum id);

 private:
  FmgrInfo function_;
  bool is_cast_;
  bool needs_pinned_settings_;
};

}  // namespace spine
