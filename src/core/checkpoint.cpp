#include "core/checkpoint.h"

#include <new>

#include "core/base64.h"
#include "core/text_lines.h"

namespace spine {

namespace {

bool are_extensions(std::string_view lines) {
  if (lines.empty()) return true;
  return is_note_text(lines) && lines.front() != '\n' && lines.find("\n\n") == std::string_view::npos;
}

}  // namespace

const char *parse_checkpoint(std::string_view text, Checkpoint *checkpoint) noexcept {
  if (!is_note_text(text)) return "the checkpoint is not lines of UTF-8, or holds a control character";
  Checkpoint read;
  std::string_view size, root;
  if (!take_line(&text, &read.origin) || !take_line(&text, &size) || !take_line(&text, &root))
    return "the checkpoint has fewer than three lines";
  if (read.origin.empty()) return "the checkpoint has no origin";
  if (!parse_decimal(size, &read.size)) return "the checkpoint's size is not a number from 0 to 9223372036854775807";
  if (!read_base64(root, &read.root)) return "the checkpoint's root is not 32 bytes in base64";
  if (!are_extensions(text)) return "the checkpoint has an empty line";
  read.extensions = text;
  *checkpoint = read;
  return nullptr;
}

Status append_checkpoint(const Checkpoint &checkpoint, Buffer *out) noexcept {
  if (checkpoint.origin.empty()) return Status::malformed;
  size_t before = out->size();
  try {
    out->append(checkpoint.origin);
    out->append('\n');
    append_decimal(*out, checkpoint.size);
    out->append('\n');
    append_base64(*out, {checkpoint.root.data(), checkpoint.root.size()});
    out->append('\n');
    out->append(checkpoint.extensions);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
  // Whatever would read as something else is none: an origin of two lines, a size too large.
  Checkpoint again;
  if (parse_checkpoint(out->view().substr(before), &again) != nullptr || again.origin != checkpoint.origin)
    return Status::malformed;
  return Status::ok;
}

const char *open_checkpoint(std::string_view message, const VerifierKey *keys, size_t key_count, SignedBy *by,
                            Checkpoint *checkpoint) noexcept {
  for (size_t k = 0; k < key_count; k++) by[k] = SignedBy();
  Note note;
  Checkpoint read;
  const char *why = parse_note(message, &note);
  if (why == nullptr) why = parse_checkpoint(note.text, &read);
  if (why != nullptr) return why;
  switch (verify_note(note, keys, key_count, by)) {
    case NoteVerdict::verified: break;
    case NoteVerdict::unknown_signers: return "no known key signed the checkpoint";
    case NoteVerdict::bad_signature: return "a signature of a known key is not over this checkpoint";
    case NoteVerdict::ambiguous_key: return "two known keys have one name and one id";
    case NoteVerdict::failed: return "the signatures could not be verified";
  }
  bool by_log = false;
  for (size_t k = 0; k < key_count; k++)
    by_log |= by[k].verified && keys[k].type == SignatureType::ed25519 && keys[k].name == read.origin;
  if (by_log && read.root_fits_size()) {
    *checkpoint = read;
    return nullptr;
  }
  for (size_t k = 0; k < key_count; k++) by[k] = SignedBy();
  return by_log ? "the checkpoint has no leaves, and yet another root than a tree without leaves"
                : "no known key that bears the origin's name signed the checkpoint";
}

}  // namespace spine
