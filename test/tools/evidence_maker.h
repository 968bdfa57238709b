// Makes evidence out of nothing, the same each time: chains, their trees, a tree of chains, a directory log, a signed
// checkpoint, and a bundle or a plain export of it. For tests and measurements, of which some need evidence that is
// signed and yet wrong.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base64.h"
#include "core/chain_check.h"
#include "core/checkpoint.h"
#include "core/directory.h"
#include "core/event.h"
#include "core/merkle.h"
#include "core/uuid.h"

namespace evidence {

using spine::Buffer;
using spine::Hash;
using spine::Status;
using spine::Uuid;

struct Options {
  uint64_t events = 10;   // of each chain in the bundle
  uint64_t chains = 1;    // in the tree of chains
  uint64_t bundled = 1;   // of them, the first ones
  uint64_t first = 0, last = 0;        // of the stretch; 0: none
  std::vector<uint64_t> singles;       // behind the stretch or before it
  uint64_t payload = 0;                // bytes of filling
  std::set<uint64_t> erased;           // sequences whose personal part is gone; the chain's last event says so
  bool withhold = false;               // personal parts
  bool hide_payload = false;           // of all but erasures
  uint64_t entries = 1, entry = 0;     // of the directory log; which one counts (0: the last)
  uint64_t witnesses = 0;
  std::string origin = "spine.example/directory";
  unsigned seed = 7;                   // of the log's key
  // To be wrong and signed all the same.
  std::function<void(uint64_t, spine::Event *)> change;  // an event before it is hashed
  std::map<uint64_t, std::string> erasures;              // what these events, which are erasures, have as payload
  bool other_head = false;             // the chain's leaf has the head hash of the event before
};

inline void require(bool done) {
  if (!done) throw std::runtime_error("something could not be computed");
}
inline void require(Status status) { require(status == Status::ok); }

inline std::string hex(const uint8_t *data, size_t size) {
  std::string out(2 * size, '\0');
  spine::write_hex(out.data(), {data, size});
  return out;
}
inline std::string hex(const Hash &hash) { return hex(hash.data(), hash.size()); }
inline std::string text_of(const Uuid &uuid) {
  std::string out(36, '\0');
  spine::write_uuid(out.data(), uuid);
  return out;
}
inline std::string hashes(const Hash *begin, size_t count) {
  std::string out = "[";
  for (size_t i = 0; i < count; i++) out += (i > 0 ? ",\"" : "\"") + hex(begin[i]) + "\"";
  return out + "]";
}
inline std::string json_string(std::string_view text) {
  Buffer out;
  spine::append_json_string(out, text);
  return std::string(out.view());
}

// The chain of an organization, whose events follow from its number and theirs.
class Chain {
 public:
  Chain(const Options &options, uint64_t number) : options_(options), number_(number) {
    organization_[6] = 0x40;
    organization_[8] = 0x80;
    for (int i = 0; i < 8; i++) organization_[15 - i] |= static_cast<uint8_t>((number + 1) >> (8 * i));
    hashes_.resize(options.events);
    leaves_.resize(options.events);
    for (uint64_t sequence = 1; sequence <= options.events; sequence++) {
      make(sequence);
      Hash &hash = hashes_[sequence - 1];
      require(sha256_.digest(document_, &hash));
      require(tree_.leaf(hash, &leaves_[sequence - 1]));
    }
    source_ = std::make_unique<spine::LeafList>(leaves_.data(), leaves_.size());
    require(spine::tree_root(tree_, *source_, options.events, &root_) == spine::ProofStatus::ok);
  }

  const Uuid &organization() const { return organization_; }
  spine::ChainLeaf leaf() const { return {organization_, options_.events, root_, hashes_[options_.events - (options_.other_head ? 2 : 1)]}; }

  // The event object.
  std::string object(uint64_t sequence) {
    make(sequence);
    bool erases = is_erasure(sequence);
    std::string text = document_;
    auto put = [&](const std::string &before, const std::string &what) { text.insert(text.find("\"" + before + "\":"), what); };
    put("event_type", "\"event_hash\":\"" + hex(hashes_[sequence - 1]) + "\",");
    if (!options_.hide_payload || erases) {
      put("payload_hash", "\"payload\":" + payload_ + ",");
      put(personal_.empty() ? "previous_hash" : "personal_hash", "\"payload_salt\":\"" + salt(sequence, 0) + "\",");
    }
    if (!personal_.empty() && !options_.withhold && !options_.erased.count(sequence)) {
      put("personal_hash", "\"personal\":" + personal_ + ",");
      put("previous_hash", "\"personal_salt\":\"" + salt(sequence, 1) + "\",");
    }
    return text;
  }

  std::string single(uint64_t sequence) {
    spine::Proof proof;
    require(spine::prove_inclusion(tree_, *source_, sequence - 1, options_.events, &proof) == spine::ProofStatus::ok);
    return "{\"event\":" + object(sequence) + ",\"proof\":" + hashes(proof.hashes.data(), proof.count) + "}\n";
  }

  void print_stretch(std::ostream &out) {
    out << "{\"stretch\":{\"after\":" << range(options_.last, options_.events) << ",\"before\":" << range(0, options_.first - 1)
        << ",\"first\":" << options_.first << ",\"last\":" << options_.last << "}}\n";
    for (uint64_t sequence = options_.first; sequence <= options_.last; sequence++) out << "{\"event\":" << object(sequence) << "}\n";
  }

 private:
  std::string range(uint64_t begin, uint64_t end) {
    spine::CompactRange range(begin);
    for (uint64_t i = begin; i < end; i++) require(range.append(tree_, leaves_[i]));
    std::string out = "[";
    for (size_t i = 0; i < range.count(); i++) out += (i > 0 ? ",\"" : "\"") + hex(range.hash(i)) + "\"";
    return out + "]";
  }

  std::string salt(uint64_t sequence, unsigned part) const {
    uint8_t bytes[16] = {};
    for (int i = 0; i < 8; i++) bytes[i] = static_cast<uint8_t>(sequence >> (8 * i));
    bytes[8] = static_cast<uint8_t>(part);
    bytes[9] = static_cast<uint8_t>(number_);
    return hex(bytes, sizeof bytes);
  }

  Hash part_hash(uint64_t sequence, unsigned part, const std::string &text) {
    std::string digits = salt(sequence, part), bytes(16, '\0');
    for (size_t i = 0; i < 16; i++) bytes[i] = static_cast<char>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    Hash hash;
    require(sha256_.digest(bytes, text, &hash));
    return hash;
  }

  // Sets payload_, personal_ and document_; the event before is made.
  void make(uint64_t sequence) {
    bool erases = is_erasure(sequence);
    spine::Event event;
    event.present = spine::all_columns;
    for (spine::Column absent : {spine::Column::occurred_at, spine::Column::correlation_id, spine::Column::causation_id})
      event.present &= ~spine::bit(absent);
    uint8_t random[8] = {0, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(number_)};
    int64_t now = int64_t{1768815000} * 1000000 + static_cast<int64_t>(sequence) * 250000;
    event.id = spine::make_uuid_v7(static_cast<uint64_t>(now), random);
    event.entity_id = spine::nil_uuid;
    event.entity_id[15] = static_cast<uint8_t>(sequence % 100);
    event.actor_id = event.entity_id;
    event.organization_id = organization_;
    event.event_type = erases ? "platform.personal.erased" : "hcm.employee.created";
    event.domain = erases ? "platform" : "hcm";
    event.entity_type = erases ? "personal" : "employee";
    event.action = erases ? "erased" : "created";
    event.actor_type = "human";
    event.environment = "test";
    event.severity = erases ? "high" : "low";
    event.recorded_by = "payroll";
    event.timestamp = now;
    event.sequence = static_cast<int64_t>(sequence);
    event.transaction_id = 700 + sequence;
    const Hash &previous = sequence == 1 ? spine::zero_hash : hashes_[sequence - 2];
    event.previous_hash = {previous.data(), previous.size()};

    personal_.clear();
    if (options_.erasures.count(sequence) > 0) {
      payload_ = options_.erasures.at(sequence);
    } else if (erases) {
      std::string list;
      for (uint64_t gone : options_.erased)
        list += (list.empty() ? "" : ",") + ("{\"id\":\"" + id_of(gone) + "\",\"sequence\":" + std::to_string(gone) + "}");
      payload_ = "{\"by\":\"privacy_office\",\"erased\":{\"personal\":[" + list + "]},\"reason\":\"request 2026-118\"}";
    } else {
      payload_ = "{\"department\":\"d-" + std::to_string(sequence % 10) + "\"";
      if (options_.payload > 0) payload_ += ",\"filling\":\"" + std::string(options_.payload, 'x') + "\"";
      payload_ += ",\"grade\":" + std::to_string(sequence % 7) + ".5}";
      if (sequence % 2 == 1) personal_ = "{\"name\":" + json_string("Ada \"" + std::to_string(sequence) + "\" Löwe") + "}";
    }
    Hash payload_hash = part_hash(sequence, 0, payload_), personal_hash{};
    spine::PartHashes parts;
    parts.payload = {payload_hash.data(), payload_hash.size()};
    if (!personal_.empty()) {
      personal_hash = part_hash(sequence, 1, personal_);
      parts.personal = {personal_hash.data(), personal_hash.size()};
    }
    if (options_.change) options_.change(sequence, &event);
    std::string_view document;
    require(hasher_->document(event, parts, &document));
    document_ = document;
  }

  bool is_erasure(uint64_t sequence) const {
    return options_.erasures.count(sequence) > 0 || (!options_.erased.empty() && sequence == options_.events);
  }

  std::string id_of(uint64_t sequence) const {
    uint8_t random[8] = {0, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(number_)};
    return text_of(spine::make_uuid_v7(static_cast<uint64_t>(1768815000) * 1000000 + sequence * 250000, random));
  }

  const Options &options_;
  uint64_t number_;
  Uuid organization_{};
  std::vector<Hash> hashes_, leaves_;
  std::unique_ptr<spine::LeafList> source_;
  Hash root_{};
  spine::TreeHasher tree_;
  spine::Sha256 sha256_;
  std::unique_ptr<spine::Hasher> hasher_ = spine::Hasher::create();
  std::string payload_, personal_, document_;
};

inline std::string text_of(const spine::SignerKey &key) {
  std::string out(spine::verifier_key_size(key.verifier.name), '\0');
  spine::write_verifier_key(out.data(), key.verifier);
  return out;
}

// The log's key and the witnesses'; the names must stay.
struct Signers {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<spine::SignerKey>> keys;

  explicit Signers(const Options &options) {
    names.push_back(options.origin);
    for (uint64_t i = 1; i <= options.witnesses; i++) names.push_back("witness.example/w" + std::to_string(i));
    for (size_t i = 0; i < names.size(); i++) {
      keys.push_back(std::make_unique<spine::SignerKey>());
      keys[i]->private_key.seed.fill(static_cast<uint8_t>(options.seed + 16 * i));
      require(spine::make_signer_key(names[i], i == 0 ? spine::SignatureType::ed25519 : spine::SignatureType::cosignature, keys[i].get()));
    }
  }

  std::string policy() const {
    std::string text = "# Signed by the log, and by any of the witnesses.\nlog " + text_of(*keys[0]) + "\n";
    for (size_t i = 1; i < keys.size(); i++) text += "witness w" + std::to_string(i) + " " + text_of(*keys[i]) + "\n";
    if (keys.size() == 1) return text + "quorum none\n";
    text += "group witnesses any";
    for (size_t i = 1; i < keys.size(); i++) text += " w" + std::to_string(i);
    return text + "\nquorum witnesses\n";
  }

  std::string note(const spine::Checkpoint &checkpoint) const {
    Buffer text, out;
    require(spine::append_checkpoint(checkpoint, &text));
    require(spine::append_note_text(text.view(), &out));
    for (const auto &key : keys) require(spine::append_signature(*key, 1768815600, text.view(), &out));
    return std::string(out.view());
  }
};

// The number'th entry. The last one, or the one that was asked for, has the tree of chains; the others are from before.
inline std::string entry_text(uint64_t number, uint64_t chains, const Hash &root) {
  char taken_at[40];
  spine::DirectoryEntry entry;
  entry.number = number;
  entry.chains = chains;
  entry.chains_root = root;
  char *end = spine::write_timestamp(taken_at, (int64_t{1768815000} + static_cast<int64_t>(number) * 60) * 1000000);
  entry.taken_at = {taken_at, static_cast<size_t>(end - taken_at)};
  entry.system_identifier = 7596412345678901234;
  entry.timeline = 1;
  entry.incarnation = spine::nil_uuid;
  entry.incarnation[6] = 0x40;
  entry.incarnation[8] = 0x80;
  entry.incarnation[15] = 0x0d;
  Buffer text;
  require(spine::append_directory_entry(entry, &text));
  return std::string(text.view());
}

// All of it but the lines: what the checkpoint vouches for.
class Evidence {
 public:
  explicit Evidence(const Options &options) : options_(options), signers_(options) {
    if (options_.entry == 0) options_.entry = options_.entries;
    for (uint64_t i = 0; i < options_.bundled; i++) chains_.push_back(std::make_unique<Chain>(options_, i));

    // The tree of chains; those that are not bundled are one event long.
    chain_leaves_.resize(options_.chains);
    for (uint64_t i = 0; i < options_.chains; i++) {
      spine::ChainLeaf leaf;
      if (i < options_.bundled) {
        leaf = chains_[i]->leaf();
      } else {
        leaf.organization[0] = 1;
        for (int j = 0; j < 8; j++) leaf.organization[15 - j] = static_cast<uint8_t>(i >> (8 * j));
        leaf.size = 1;
        leaf.root = leaf.head_hash = chains_[0]->leaf().root;
      }
      Buffer text;
      require(spine::append_chain_leaf(leaf, &text));
      require(tree_.leaf(text.view(), &chain_leaves_[i]));
    }
    spine::LeafList chain_tree(chain_leaves_.data(), chain_leaves_.size());
    Hash chains_root;
    require(spine::tree_root(tree_, chain_tree, options_.chains, &chains_root) == spine::ProofStatus::ok);

    entry_leaves_.resize(options_.entries);
    for (uint64_t i = 0; i < options_.entries; i++) {
      bool before = i + 1 < options_.entry;
      entries_.push_back(entry_text(i + 1, before ? 0 : options_.chains, before ? spine::empty_tree_root : chains_root));
      require(tree_.leaf(entries_[i], &entry_leaves_[i]));
    }
  }

  std::string policy() const { return signers_.policy(); }

  // The signed checkpoint of the log when it had so many entries.
  std::string note(uint64_t size) {
    spine::LeafList log(entry_leaves_.data(), entry_leaves_.size());
    spine::Checkpoint checkpoint;
    checkpoint.origin = options_.origin;
    checkpoint.size = size;
    require(spine::tree_root(tree_, log, size, &checkpoint.root) == spine::ProofStatus::ok);
    return signers_.note(checkpoint);
  }

  // That the log grew from so many entries to all it has: notes and proof, a line of JSON.
  void print_growth(std::ostream &out, uint64_t old_size) {
    spine::LeafList log(entry_leaves_.data(), entry_leaves_.size());
    spine::Proof proof;
    require(spine::prove_consistency(tree_, log, old_size, options_.entries, &proof) == spine::ProofStatus::ok);
    out << "{\"growth\":{\"new\":" << json_string(note(options_.entries)) << ",\"old\":" << json_string(note(old_size))
        << ",\"proof\":" << hashes(proof.hashes.data(), proof.count) << "}}\n";
  }

  void print_export(std::ostream &out) {
    for (const auto &chain : chains_)
      for (uint64_t sequence = 1; sequence <= options_.events; sequence++) out << chain->object(sequence) << '\n';
  }

  void print_bundle(std::ostream &out) {
    std::string organization = options_.bundled == 1 ? ",\"organization_id\":\"" + text_of(chains_[0]->organization()) + "\"" : "";
    out << "{\"evidence\":{\"created\":\"2026-01-19T10:00:00.000000Z\",\"format\":1" << organization
        << ",\"reason\":\"audit 2026\",\"selection\":{}}}\n";
    out << "{\"checkpoint\":" << json_string(note(options_.entries)) << "}\n";
    spine::LeafList log(entry_leaves_.data(), entry_leaves_.size());
    spine::Proof proof;
    require(spine::prove_inclusion(tree_, log, options_.entry - 1, options_.entries, &proof) == spine::ProofStatus::ok);
    out << "{\"directory\":{\"entry\":" << json_string(entries_[options_.entry - 1]) << ",\"index\":" << options_.entry - 1
        << ",\"proof\":" << hashes(proof.hashes.data(), proof.count) << "}}\n";
    spine::LeafList chain_tree(chain_leaves_.data(), chain_leaves_.size());
    uint64_t count = 0;
    for (uint64_t i = 0; i < options_.bundled; i++) {
      require(spine::prove_inclusion(tree_, chain_tree, i, options_.chains, &proof) == spine::ProofStatus::ok);
      print_chain(out, chains_[i].get(), i, proof);
      count += options_.singles.size() + (options_.last == 0 ? 0 : options_.last - options_.first + 1);
    }
    out << "{\"end\":{\"events\":" << count << "}}\n";
  }

 private:
  void print_chain(std::ostream &out, Chain *chain, uint64_t index, const spine::Proof &proof) {
    spine::ChainLeaf leaf = chain->leaf();
    out << "{\"chain\":{\"head_hash\":\"" << hex(leaf.head_hash) << "\",\"index\":" << index << ",\"organization_id\":\""
        << text_of(leaf.organization) << "\",\"proof\":" << hashes(proof.hashes.data(), proof.count) << ",\"root\":\"" << hex(leaf.root)
        << "\",\"size\":" << leaf.size << "}}\n";
    bool done = options_.last == 0;
    for (uint64_t single : options_.singles) {
      if (!done && single > options_.last) {
        chain->print_stretch(out);
        done = true;
      }
      out << chain->single(single);
    }
    if (!done) chain->print_stretch(out);
  }

  Options options_;
  Signers signers_;
  spine::TreeHasher tree_;
  std::vector<std::unique_ptr<Chain>> chains_;
  std::vector<Hash> chain_leaves_, entry_leaves_;
  std::vector<std::string> entries_;
};

}  // namespace evidence
