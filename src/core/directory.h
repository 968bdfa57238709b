// The directory: what a notary signs of a whole database. A tree of chains says how far each chain is; an entry says
// which tree of chains there was at a directory checkpoint; the directory log is a tree whose leaves are the entries.
// docs/evidence.md is the specification of both texts.
#pragma once

#include "core/buffer.h"
#include "core/bytes.h"

namespace spine {

// One leaf of the tree of chains. The leaves are sorted by organization.
//
//   <organization, a uuid in lower case>
//   <events, decimal>
//   <root of the chain's tree, base64>
//   <event_hash of its last event, base64>
struct ChainLeaf {
  Uuid organization{};
  uint64_t size = 0;
  Hash root{};
  Hash head_hash{};
};

// Null, or what is wrong. Takes nothing that append_chain_leaf would not write; a chain has an event at least.
const char *parse_chain_leaf(std::string_view text, ChainLeaf *leaf) noexcept;

// Appends what parse_chain_leaf reads. ok, out_of_memory, or malformed: a size of 0 or above 2^63 - 1.
Status append_chain_leaf(const ChainLeaf &leaf, Buffer *out) noexcept;

// One leaf of the directory log.
//
//   people_os_spine directory v1
//   <number of the directory checkpoint, from 1; the leaf's index is one less>
//   <chains, decimal>
//   <root of the tree of chains, base64>
//   <when it was taken: 2026-01-19T09:30:00.000000Z>
//   <system identifier of the server, decimal> <its timeline, decimal> <incarnation of the database, a uuid>
struct DirectoryEntry {
  uint64_t number = 0;
  uint64_t chains = 0;
  Hash chains_root{};
  std::string_view taken_at;  // a view into the text that was read
  uint64_t system_identifier = 0;
  uint32_t timeline = 0;
  Uuid incarnation{};
};

// Null, or what is wrong. Takes nothing that append_directory_entry would not write; taken_at is a time of the years
// 1 to 9999 in the form above.
const char *parse_directory_entry(std::string_view text, DirectoryEntry *entry) noexcept;

// Appends what parse_directory_entry reads. ok, out_of_memory, or malformed: no entry may say that; out may then hold
// a part.
Status append_directory_entry(const DirectoryEntry &entry, Buffer *out) noexcept;

}  // namespace spine
