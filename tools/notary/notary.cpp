#include "notary/notary.h"

#include "core/checkpoint.h"
#include "core/text_lines.h"
#include "notary/encoding.h"
#include "notary/refusal.h"

namespace spine {

Notary::Notary(std::string directory, std::string origin, const Signer &signer, Database &database,
               Witnesses &witnesses, const Messages &messages, bool thorough)
    : directory_(std::move(directory)),
      origin_(std::move(origin)),
      signer_(signer),
      database_(database),
      witnesses_(witnesses),
      messages_(messages),
      thorough_(thorough) {
  if (signer_.key().type != SignatureType::ed25519 || signer_.key().name != origin_)
    throw Failure(Exit::usage, "the key's name is " + std::string(signer_.key().name) + ", the origin is " + origin_,
                  "a log's key bears the name of its origin: spine-notary keygen --name " + origin_);
}

bool Notary::is_own(std::string_view message, uint64_t *number, Hash *root) const {
  SignedBy by;
  Checkpoint checkpoint;
  VerifierKey key = signer_.key();
  if (open_checkpoint(message, &key, 1, &by, &checkpoint) != nullptr) return false;
  *number = checkpoint.size;
  *root = checkpoint.root;
  return true;
}

void Notary::load() {
  lock_ = lock_directory(directory_, false);
  std::optional<State> state = read_state(directory_, origin_);
  if (!state)
    throw Failure(Exit::usage, directory_ + " has no state",
                  "spine-notary init begins one; where one was lost: spine-notary init --adopt NOTE");
  state_ = std::move(*state);
  for (const std::string &name : names_in(directory_, ".checkpoint")) {
    uint64_t number;
    if (parse_decimal(name, &number) && number > state_.number)
      throw Failure(Exit::notary_lost,
                    directory_ + " has the note of checkpoint " + name + ", and a state of checkpoint " +
                        std::to_string(state_.number),
                    "the state is an old copy; begin a new state directory: spine-notary init --adopt NOTE");
  }
  drop_unsigned_history(directory_, state_.number);
}

void Notary::refuse_a_second_begin() {
  lock_ = lock_directory(directory_, true);
  if (read_file(directory_ + "/state", SIZE_MAX))
    throw Failure(Exit::usage, directory_ + " has a state already", "spine-notary run goes on with it");
}

Exit Notary::begin() {
  refuse_a_second_begin();
  std::vector<StoredNote> notes = database_.notes_behind(origin_, 0);
  if (!notes.empty())
    throw Failure(Exit::notary_lost,
                  "the database has notes of the origin " + origin_ + ", the newest of checkpoint " +
                      std::to_string(notes.front().number),
                  "if a state was lost: --adopt with the newest note that the key signed; else choose a new origin");
  state_.origin = origin_;
  return round();
}

Exit Notary::adopt(const std::string &message) {
  refuse_a_second_begin();
  uint64_t number;
  Hash root;
  if (!is_own(message, &number, &root) || number == 0)
    throw Failure(Exit::usage, "the note is none that this key signed for the origin " + origin_);
  state_.origin = origin_;
  state_.number = number;
  refuse_an_old_state();
  std::optional<Hash> theirs = database_.log_root(number);
  if (!theirs || *theirs != root)
    throw Failure(Exit::restored,
                  "the database does not have the log that the note of checkpoint " + std::to_string(number) +
                      " is of",
                  "find the database that was signed; or begin a new origin");
  State nothing;
  nothing.origin = origin_;
  Judged judged = judge(hasher_, nothing, database_.log_behind(0, number));
  if (!judged.why.empty() || judged.next.root != root)
    throw Failure(Exit::rewritten,
                  "directory checkpoint " + std::to_string(judged.wrong_number) +
                      " is not what was signed: " + judged.why,
                  "the records of checkpoints were altered; compare them with a backup");
  std::vector<Uuid> all;
  for (const auto &[organization, chain] : judged.next.chains) all.push_back(organization);
  state_ = std::move(judged.next);
  state_.wal = 0;  // what it was then nobody knows
  write_state(directory_, state_, all);
  write_file(directory_, note_name(number), message);
  messages_.say(Message("adopted", "the state is that of checkpoint " + std::to_string(number) + " again")
                    .add("number", number)
                    .add("chains", state_.chains.size()));
  return Exit::done;
}

// Signing again what was signed otherwise before would be a fork, so a state that is older than the key's own newest
// note signs nothing.
void Notary::refuse_an_old_state() {
  std::vector<StoredNote> notes = database_.notes_behind(origin_, state_.number);
  std::vector<std::string> texts;
  for (StoredNote &note : notes) texts.push_back(std::move(note.note));
  if (!asked_witnesses_)
    for (std::string &note : witnesses_.newest_notes(origin_)) texts.push_back(std::move(note));
  asked_witnesses_ = true;
  bool forged = false;
  for (const std::string &text : texts) {
    uint64_t number;
    Hash root;
    if (!is_own(text, &number, &root)) {
      forged = true;
    } else if (number > state_.number) {
      messages_.say(Message("notary_lost", "checkpoint " + std::to_string(number) +
                                               " was signed with this key, and this state ends with checkpoint " +
                                               std::to_string(state_.number))
                        .add("number", state_.number)
                        .add("signed_number", number));
      throw Failure(Exit::notary_lost, "the notary lost its state, not the database its events",
                    "stop whoever else signs with this key; then spine-notary init --adopt in a new directory");
    }
  }
  if (forged)
    messages_.say(Message("note_not_ours", "somebody stored notes of the origin " + origin_ +
                                               " that this key did not sign; they are not believed"));
}

void Notary::compare_log() {
  if (state_.number == 0) return;
  std::optional<Hash> root = database_.log_root(state_.number);
  if (!root || *root != state_.root || identity_.incarnation != state_.read_entry().incarnation)
    refuse(directory_, state_, identity_, {}, database_, messages_);
}

bool Notary::has_chain(const Uuid &organization, const Chain &chain) {
  std::optional<Hash> root = database_.tree_root(organization, chain.size);
  return root && *root == chain.root;
}

Judged Notary::take(std::vector<ChainFault> *faults) {
  *faults = database_.take_checkpoint();
  LogPart part = database_.log_behind(state_.number);
  if (part.entries.empty()) part.root = state_.root;
  return judge(hasher_, state_, part);
}

// Refuses where a chain is not what was signed, or where what is new cannot be signed. A fault in new events alone
// does not stop the others' checkpoints: the chain stays at its older size.
void Notary::require_sound(const Judged &judged, const std::vector<ChainFault> &faults) {
  std::set<Uuid> suspects;
  for (const ChainFault &fault : faults) suspects.insert(fault.organization);
  if (judged.wrong_chain) suspects.insert(*judged.wrong_chain);
  std::vector<Growth> unproved = database_.unproved(hasher_, judged.growth);
  for (const Growth &growth : unproved) suspects.insert(growth.organization);
  bool sound = judged.why.empty() && unproved.empty();
  if (!judged.why.empty()) {
    Message message("entry_refused",
                    "directory checkpoint " + std::to_string(judged.wrong_number) + " is not sound: " + judged.why);
    message.add("number", judged.wrong_number);
    if (judged.wrong_chain) message.add("organization_id", text_of(*judged.wrong_chain));
    messages_.say(message);
  }
  for (const auto &[organization, chain] : state_.chains)
    if (thorough_ || suspects.count(organization) > 0)
      if (!has_chain(organization, chain)) {
        suspects.insert(organization);
        sound = false;
      }
  for (const Growth &growth : unproved)
    messages_.say(Message("growth_unproved", "organization " + text_of(growth.organization) + ": that its " +
                                                 std::to_string(growth.new_size) + " events extend its " +
                                                 std::to_string(growth.old_size) + " is not proved")
                      .add("organization_id", text_of(growth.organization))
                      .add("old_size", growth.old_size)
                      .add("new_size", growth.new_size));
  for (const ChainFault &fault : faults)
    messages_.say(Message("chain_fault", "organization " + text_of(fault.organization) + ": " + fault.fault +
                                             "; spine.find_chain_faults and spine.verify_since_checkpoint tell more")
                      .add("organization_id", text_of(fault.organization))
                      .add("fault", fault.fault));
  if (sound) return;
  if (state_.number == 0)
    throw Failure(Exit::rewritten, "the database's own checkpoints are not sound, and nothing was signed yet");
  refuse(directory_, state_, identity_, suspects, database_, messages_);
}

namespace {

// Says what changed of the server, where all that was signed is still there.
void tell_of_move(const State &before, const State &next, const Messages &messages) {
  DirectoryEntry from = before.read_entry(), to = next.read_entry();
  if (from.system_identifier != to.system_identifier)
    messages.say(Message("moved", "the database is in another cluster now, by a dump or an upgrade; all that was "
                                  "signed is there")
                     .add("system_identifier", to.system_identifier)
                     .add("signed_system_identifier", from.system_identifier));
  else if (from.timeline != to.timeline)
    messages.say(Message("promoted", "the server's timeline was " + std::to_string(from.timeline) + " and is " +
                                         std::to_string(to.timeline) + "; all that was signed is there")
                     .add("timeline", to.timeline)
                     .add("signed_timeline", from.timeline));
  else if (next.wal < before.wal)
    messages.say(Message("went_back", "the server's WAL position went back, as after a restore; all that was signed "
                                      "is there")
                     .add("wal", next.wal)
                     .add("signed_wal", before.wal));
}

}  // namespace

// First the state, then the note: whatever ends the process between them, nothing else is ever signed of this number.
void Notary::keep(Judged judged) {
  if (state_.number > 0) tell_of_move(state_, judged.next, messages_);
  write_state(directory_, judged.next, judged.changed);
  state_ = std::move(judged.next);
  write_file(directory_, note_name(state_.number), note_of_state());
  messages_.say(Message("signed", "checkpoint " + std::to_string(state_.number) + " of " +
                                      std::to_string(state_.chains.size()) + " chains, of which " +
                                      std::to_string(judged.changed.size()) + " changed")
                    .add("number", state_.number)
                    .add("chains", state_.chains.size())
                    .add("changed", judged.changed.size())
                    .add("root", base64_of(state_.root))
                    .add("taken_at", state_.read_entry().taken_at));
}

std::string Notary::note_of_state() const {
  std::string text = state_.checkpoint_text();
  return text + '\n' + signer_.sign(text);
}

// Gives the note of the state to the witnesses and to the database, also where an earlier run ended before it did.
Exit Notary::deliver() {
  if (delivered_ == state_.number) return Exit::done;
  std::optional<std::string> there = read_file(directory_ + "/" + note_name(state_.number), Note::max_size);
  uint64_t number;
  Hash root;
  bool own = there && is_own(*there, &number, &root);
  if (own && (number != state_.number || root != state_.root))
    throw Failure(Exit::usage, directory_ + "/" + note_name(state_.number) + " is of another line than the state",
                  "keep the directory for who investigates; a note and a state that differ are never made");
  std::string note = own ? *there : note_of_state();
  bool reached = witnesses_.quorum_reached(note);
  if (!reached || !database_.has_note(origin_, state_.number, note)) {
    note = witnesses_.cosign(note, state_, [this](uint64_t from, uint64_t to) { return database_.prove_log(from, to); });
    if (!own || note != *there) write_file(directory_, note_name(state_.number), note);
    reached = witnesses_.quorum_reached(note);
    if (reached && !database_.has_note(origin_, state_.number, note)) database_.store_note(note);
  }
  if (reached) {
    delivered_ = state_.number;
    return Exit::done;
  }
  messages_.say(Message("no_quorum", "too few witnesses cosigned checkpoint " + std::to_string(state_.number) +
                                         "; the database does not have its note yet")
                    .add("number", state_.number));
  return Exit::no_quorum;
}

Exit Notary::round() {
  identity_ = database_.identity();
  refuse_an_old_state();
  compare_log();
  std::vector<ChainFault> faults;
  Judged judged = take(&faults);
  require_sound(judged, faults);
  if (judged.next.number > state_.number) keep(std::move(judged));
  Exit delivered = deliver();
  return delivered == Exit::done && !faults.empty() ? Exit::chain_fault : delivered;
}

}  // namespace spine
