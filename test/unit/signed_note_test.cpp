#include "core/signed_note.h"

#include <gtest/gtest.h>

#include "core/base64.h"
#include "note_examples.h"
#include "support.h"

using spine::Buffer;
using spine::Note;
using spine::NoteVerdict;
using spine::SignatureType;
using spine::SignedBy;
using spine::SignerKey;
using spine::Status;
using spine::VerifierKey;
using namespace std::string_literals;

namespace spine {

std::ostream &operator<<(std::ostream &out, NoteVerdict verdict) {
  return out << note_verdict_names[static_cast<int>(verdict)];
}

}  // namespace spine

namespace {

// The keys' names are views into the texts, which must stay.
std::vector<VerifierKey> keys_of(const std::vector<const std::string *> &texts) {
  std::vector<VerifierKey> keys(texts.size());
  for (size_t i = 0; i < texts.size(); i++)
    EXPECT_EQ(spine::parse_verifier_key(*texts[i], &keys[i]), nullptr) << *texts[i];
  return keys;
}

NoteVerdict verdict_of(const std::string &message, const std::vector<VerifierKey> &keys, std::vector<SignedBy> *by) {
  Note note;
  const char *why = spine::parse_note(message, &note);
  EXPECT_EQ(why, nullptr) << why;
  by->assign(keys.size(), {true, 5});
  return spine::verify_note(note, keys.data(), keys.size(), by->data());
}

NoteVerdict verdict_of(const std::string &message, const std::vector<VerifierKey> &keys) {
  std::vector<SignedBy> by;
  NoteVerdict verdict = verdict_of(message, keys, &by);
  if (verdict == NoteVerdict::verified) return verdict;
  for (const SignedBy &one : by) EXPECT_FALSE(one.verified || one.time != 0);
  return verdict;
}

// Whether the note can be read at all. From a copy, so that a sanitizer sees a read past it.
bool readable(const std::string &message) {
  Copy copy(message);
  Note note;
  return spine::parse_note({reinterpret_cast<const char *>(copy.bytes().data), message.size()}, &note) == nullptr;
}

std::string line_of(const std::string &name, const std::string &bytes) {
  std::string base64(spine::base64_size(bytes.size()), '\0');
  spine::write_base64(base64.data(), {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()});
  return "— " + name + " " + base64 + "\n";
}

std::string bytes_of(const std::string &line) {
  std::string base64 = line.substr(line.rfind(' ') + 1);
  base64.pop_back();
  std::string bytes(spine::base64_bytes(base64), '\0');
  EXPECT_TRUE(spine::read_base64(base64, reinterpret_cast<uint8_t *>(bytes.data())));
  return bytes;
}

const std::string published_key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const std::string published_note =
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72Ineya"
    "QM=\n";
const std::string go_key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const std::string go_signer = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

}  // namespace

TEST(SignedNote, VerifiesThePublishedPair) {
  std::vector<VerifierKey> keys = keys_of({&published_key});
  EXPECT_EQ(keys[0].name, "example.com/foo");
  EXPECT_EQ(keys[0].id, 0x530d903au);
  EXPECT_EQ(verdict_of(published_note, keys), NoteVerdict::verified);
  std::string other = published_note;
  other[0] = 't';
  EXPECT_EQ(verdict_of(other, keys), NoteVerdict::bad_signature);
}

TEST(SignedNote, VerifiesAndWritesWhatAnotherProgramSigned) {
  std::vector<VerifierKey> keys = keys_of({&example::log_key, &example::other_witness_key, &example::witness_key});
  std::vector<SignedBy> by;
  EXPECT_EQ(verdict_of(example::note, keys, &by), NoteVerdict::verified);
  EXPECT_TRUE(by[0].verified && by[1].verified && by[2].verified);
  EXPECT_EQ(by[0].time, 0u);
  EXPECT_EQ(by[1].time, example::cosigned_at);

  SignerKey log, witness;
  ASSERT_EQ(spine::parse_signer_key(example::log_signer, &log), nullptr);
  ASSERT_EQ(spine::parse_signer_key(example::witness_signer, &witness), nullptr);
  Buffer note;
  ASSERT_EQ(spine::append_note_text(example::text, &note), Status::ok);
  ASSERT_EQ(spine::append_signature(log, 0, example::text, &note), Status::ok);
  ASSERT_EQ(spine::append_signature(witness, example::cosigned_at, example::text, &note), Status::ok);
  EXPECT_EQ(note.view(), example::text + "\n" + example::log_line + example::witness_line);
}

TEST(SignedNote, KeysAreReadAndWrittenBack) {
  for (const std::string *text :
       {&published_key, &go_key, &example::log_key, &example::witness_key, &example::other_witness_key}) {
    VerifierKey key;
    ASSERT_EQ(spine::parse_verifier_key(*text, &key), nullptr);
    std::string again(spine::verifier_key_size(key.name), '\0');
    EXPECT_EQ(spine::write_verifier_key(again.data(), key), again.data() + again.size());
    EXPECT_EQ(again, *text);
  }
  for (auto [private_text, public_text] :
       {std::pair(&go_signer, &go_key), std::pair(&example::log_signer, &example::log_key),
        std::pair(&example::witness_signer, &example::witness_key)}) {
    SignerKey key;
    ASSERT_EQ(spine::parse_signer_key(*private_text, &key), nullptr);
    std::string again(spine::signer_key_size(key.verifier.name), '\0');
    EXPECT_EQ(spine::write_signer_key(again.data(), key), again.data() + again.size());
    EXPECT_EQ(again, *private_text);
    std::string verifier(spine::verifier_key_size(key.verifier.name), '\0');
    spine::write_verifier_key(verifier.data(), key.verifier);
    EXPECT_EQ(verifier, *public_text);
  }
}

TEST(SignedNote, RefusesKeysThatAreNone) {
  VerifierKey key;
  for (const std::string text :
       {"", "+", "++", "example.com/foo", "example.com/foo+530d903a",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  // upper case
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  // another id
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  // another name
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2l",  // another key
        "example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  // another type
        "example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",  // a type that is not ours
        "example.com/foo+530d903+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+", "example.com/foo+530d903a+AQ==",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAAAA",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
        "example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"})
    EXPECT_NE(spine::parse_verifier_key(text, &key), nullptr) << text;

  SignerKey signer;
  EXPECT_NE(spine::parse_signer_key(go_key, &signer), nullptr);
  EXPECT_NE(spine::parse_signer_key("PRIVATE+KEY+" + go_key, &signer), nullptr);  // the public key for a seed
  EXPECT_NE(spine::parse_signer_key(go_signer.substr(8), &signer), nullptr);
  EXPECT_NE(spine::parse_verifier_key(go_signer, &key), nullptr);
  for (size_t n = 0; n < go_signer.size(); n++)
    EXPECT_NE(spine::parse_signer_key(go_signer.substr(0, n), &signer), nullptr) << n;
}

TEST(SignedNote, NamesHoldNoSpaceAndNoPlus) {
  for (const char *name : {"a", "spine.example/directory", "zeugin.example/ö", "日本", "\xf0\x9f\x94\x91", "\x7f"})
    EXPECT_TRUE(spine::is_key_name(name)) << name;
  for (const std::string &name :
       {""s, "a b"s, "a+b"s, "a\tb"s, "a\nb"s, "a\0b"s, "\xc2\x85"s, "\xc2\xa0"s, "\xe1\x9a\x80"s, "\xe2\x80\x80"s,
        "\xe2\x80\x8a"s, "\xe2\x80\xa8"s, "\xe2\x80\xa9"s, "\xe2\x80\xaf"s, "\xe2\x81\x9f"s, "\xe3\x80\x80"s})
    EXPECT_FALSE(spine::is_key_name(name)) << name;
  VerifierKey key;
  EXPECT_EQ(spine::make_verifier_key("a b", SignatureType::ed25519, {}, &key), Status::malformed);
}

TEST(SignedNote, IsUtf8WithoutControlCharacters) {
  for (const char *text : {"\xc3\xb6\n", "\xed\x9f\xbf\n", "\xee\x80\x80\n", "\xf0\x90\x80\x80\n", "\xf4\x8f\xbf\xbf\n",
                           "\n", "\x7f\n"})
    EXPECT_TRUE(spine::is_note_text(text)) << text;
  for (const std::string &text :
       {""s, "no newline"s, "\t\n"s, "\r\n"s, "\0\n"s, "\x1f\n"s, "\x80\n"s, "\xc3\n"s, "\xc3\xc3\n"s, "\xc0\x80\n"s,
        "\xc1\xbf\n"s, "\xe0\x9f\xbf\n"s, "\xe2\x82\n"s, "\xed\xa0\x80\n"s, "\xed\xbf\xbf\n"s, "\xf0\x8f\xbf\xbf\n"s,
        "\xf4\x90\x80\x80\n"s, "\xf5\x80\x80\x80\n"s, "\xff\n"s, "\xf0\x9f\x94"s, "\xe2"s})
    EXPECT_FALSE(spine::is_note_text(text)) << text;
  EXPECT_TRUE(readable(published_note));
  for (const char *bad : {"\t", "\r", "\x01", "\xff", "\xed\xa0\x80"})
    EXPECT_FALSE(readable(bad + published_note)) << bad;
}

TEST(SignedNote, RefusesEveryTruncation) {
  for (size_t n = 0; n < example::note.size(); n++) {
    std::string part = example::note.substr(0, n);
    // What ends behind a line of a signature is a note with fewer of them.
    bool fewer = part == example::text + "\n" + example::log_line ||
                 part == example::text + "\n" + example::log_line + example::witness_line;
    EXPECT_EQ(readable(part), fewer) << n;
  }
}

TEST(SignedNote, RefusesLinesThatAreNoSignatures) {
  const std::string text = "text\n\n", good = line_of("name", "\x01\x02\x03\x04signature");
  ASSERT_TRUE(readable(text + good));
  for (const std::string &line :
       {"\n"s, "- name AQIDBHNpZw==\n"s, "—name AQIDBHNpZw==\n"s, "—  AQIDBHNpZw==\n"s, "— name\n"s, "— name \n"s,
        "— na+me AQIDBHNpZw==\n"s, "— name AQIDBHNpZw==  \n"s, "— name  AQIDBHNpZw==\n"s, "— name AQIDBHNpZw\n"s,
        "— name AQIDBHNpZx==\n"s, "— name AQID\n"s, "— name AQIDBA==\n"s, " — name AQIDBHNpZw==\n"s,
        "— na\xe3\x80\x80me AQIDBHNpZw==\n"s, "text\n"s}) {
    EXPECT_FALSE(readable(text + line)) << line;
    EXPECT_FALSE(readable(text + good + line)) << line;
    EXPECT_EQ(readable(text + line + good), line == "\n") << line;  // an empty line more is the text's
  }
  EXPECT_FALSE(readable(text + good.substr(0, good.size() - 1)));
  EXPECT_FALSE(readable("text\n" + good));  // no empty line
  EXPECT_FALSE(readable("\n" + good));      // no text
  EXPECT_TRUE(readable("text\n\nmore\n\n" + good));
}

// The text goes up to the last empty line, so nothing in it can pass for the signatures.
TEST(SignedNote, TheLastEmptyLineDivides) {
  Note note;
  std::string message = example::note + "\n" + line_of("name", "\x01\x02\x03\x04signature");
  ASSERT_EQ(spine::parse_note(message, &note), nullptr);
  EXPECT_EQ(note.text, example::note);
  ASSERT_EQ(note.signature_count, 1u);
  EXPECT_EQ(note.signatures[0].key_name, "name");
  EXPECT_EQ(note.signatures[0].key_id, 0x01020304u);
  EXPECT_EQ(verdict_of(message, keys_of({&example::log_key})), NoteVerdict::unknown_signers);
}

TEST(SignedNote, TakesAHundredSignaturesAndNoMore) {
  std::string message = published_note;
  for (int i = 0; i < 99; i++) message += line_of("other" + std::to_string(i), "\x01\x02\x03\x04signature");
  EXPECT_EQ(verdict_of(message, keys_of({&published_key})), NoteVerdict::verified);
  EXPECT_FALSE(readable(message + line_of("one", "\x01\x02\x03\x04signature")));
}

TEST(SignedNote, TakesLongSignaturesUpToAMebibyte) {
  std::string message = published_note + line_of("post-quantum", "\x01\x02\x03\x04" + std::string(5000, 's'));
  EXPECT_EQ(verdict_of(message, keys_of({&published_key})), NoteVerdict::verified);
  std::string filled = std::string(Note::max_size - published_note.size(), 'x') + published_note;
  EXPECT_TRUE(readable(filled));
  EXPECT_FALSE(readable("x" + filled));
}

TEST(SignedNote, IgnoresUnknownKeysEvenThoseOfTheSameNameOrId) {
  std::vector<VerifierKey> keys = keys_of({&example::log_key});
  std::string id = bytes_of(example::log_line).substr(0, 4), junk(64, 'x');
  std::string unknown = line_of("spine.example/directory", "\x01\x02\x03\x04" + junk) +
                        line_of("another", id + junk) + line_of("another", "\x01\x02\x03\x04 short");
  EXPECT_EQ(verdict_of(example::note + unknown, keys), NoteVerdict::verified);
  EXPECT_EQ(verdict_of(example::text + "\n" + unknown, keys), NoteVerdict::unknown_signers);
  EXPECT_EQ(verdict_of(example::note, {}), NoteVerdict::unknown_signers);
}

TEST(SignedNote, OneBadSignatureOfAKnownKeyRefusesTheNote) {
  std::vector<VerifierKey> keys = keys_of({&example::log_key, &example::witness_key});
  std::string log = bytes_of(example::log_line), witness = bytes_of(example::witness_line);
  std::vector<std::string> bad;
  for (size_t i : {size_t{4}, size_t{35}, size_t{36}, size_t{67}}) {
    std::string changed = log;
    changed[i] ^= 1;
    bad.push_back(line_of("spine.example/directory", changed));
  }
  bad.push_back(line_of("spine.example/directory", log.substr(0, 67)));
  bad.push_back(line_of("spine.example/directory", log + "x"));
  bad.push_back(line_of("spine.example/directory", log.substr(0, 5)));
  bad.push_back(line_of("spine.example/directory", log.substr(0, 4) + witness.substr(4)));
  bad.push_back(line_of("witness.example/w1", witness.substr(0, 4) + log.substr(4)));
  for (size_t i = 4; i < witness.size(); i += 6) {
    std::string changed = witness;
    changed[i] ^= 1;
    bad.push_back(line_of("witness.example/w1", changed));
  }
  std::string late = witness;
  late[4] = '\x80';  // a time above 2^63 - 1
  bad.push_back(line_of("witness.example/w1", late));
  for (const std::string &line : bad) {
    EXPECT_EQ(verdict_of(example::note + line, keys), NoteVerdict::bad_signature) << line;
    EXPECT_EQ(verdict_of(example::text + "\n" + line + example::log_line, keys), NoteVerdict::bad_signature) << line;
  }
}

TEST(SignedNote, AKeyCountsOnceHoweverOftenItSigned) {
  std::vector<VerifierKey> keys = keys_of({&example::witness_key, &example::witness_key, &example::log_key});
  SignerKey witness;
  ASSERT_EQ(spine::parse_signer_key(example::witness_signer, &witness), nullptr);
  Buffer lines;
  for (uint64_t time : {uint64_t{7}, uint64_t{INT64_MAX}, uint64_t{9}})
    ASSERT_EQ(spine::append_signature(witness, time, example::text, &lines), Status::ok);
  std::vector<SignedBy> by;
  EXPECT_EQ(verdict_of(example::note + std::string(lines.view()), keys, &by), NoteVerdict::verified);
  EXPECT_TRUE(by[0].verified && !by[1].verified && by[2].verified);
  EXPECT_EQ(by[0].time, uint64_t{INT64_MAX});
  EXPECT_EQ(spine::append_signature(witness, uint64_t{1} << 63, example::text, &lines), Status::malformed);
}

// An id has 32 bits: two keys of one name can share it.
TEST(SignedNote, TwoKeysOfOneNameAndIdAreAmbiguous) {
  std::vector<VerifierKey> keys = keys_of({&example::log_key, &example::witness_key});
  keys[1].name = keys[0].name;
  keys[1].id = keys[0].id;
  EXPECT_EQ(verdict_of(example::note, keys), NoteVerdict::ambiguous_key);
}

TEST(SignedNote, ACosignatureIsNoSignatureOfTheTextAndTheReverse) {
  std::string signer_text = example::log_signer;
  SignerKey log, cosigner;
  ASSERT_EQ(spine::parse_signer_key(signer_text, &log), nullptr);
  cosigner.private_key.seed = log.private_key.seed;
  ASSERT_EQ(spine::make_signer_key(log.verifier.name, SignatureType::cosignature, &cosigner), Status::ok);
  EXPECT_NE(cosigner.verifier.id, log.verifier.id);
  Buffer note;
  ASSERT_EQ(spine::append_note_text(example::text, &note), Status::ok);
  ASSERT_EQ(spine::append_signature(cosigner, 1, example::text, &note), Status::ok);
  EXPECT_EQ(verdict_of(std::string(note.view()), {log.verifier}), NoteVerdict::unknown_signers);
  EXPECT_EQ(verdict_of(std::string(note.view()), {cosigner.verifier}), NoteVerdict::verified);
}

TEST(SignedNote, WritesNoNoteThatItWouldNotRead) {
  SignerKey key;
  ASSERT_EQ(spine::parse_signer_key(go_signer, &key), nullptr);
  Buffer out;
  for (const std::string text : {"", "no newline", "\ttab\n", "\xff\n"}) {
    EXPECT_EQ(spine::append_note_text(text, &out), Status::malformed) << text;
    EXPECT_EQ(spine::append_signature(key, 0, text, &out), Status::malformed) << text;
    EXPECT_EQ(spine::append_signed_message(SignatureType::ed25519, 0, text, &out), Status::malformed) << text;
  }
  EXPECT_EQ(out.size(), 0u);
  key.verifier.name = "two words";
  EXPECT_EQ(spine::append_signature(key, 0, "text\n", &out), Status::malformed);
  EXPECT_EQ(out.size(), 0u);
}

// With the key behind an agent's socket: the message goes out, the signature comes in.
TEST(SignedNote, SignsWithAKeyThatLiesElsewhere) {
  SignerKey witness;
  ASSERT_EQ(spine::parse_signer_key(example::witness_signer, &witness), nullptr);
  Buffer message, line;
  SignatureType type = SignatureType::cosignature;
  ASSERT_EQ(spine::append_signed_message(type, example::cosigned_at, example::text, &message), Status::ok);
  EXPECT_EQ(message.view(), "cosignature/v1\ntime 1774567890\n" + example::text);
  spine::Ed25519Signature signature;
  ASSERT_EQ(witness.private_key.sign(message.view(), &signature), Status::ok);
  ASSERT_EQ(spine::append_signature_line(witness.verifier, example::cosigned_at, signature, &line), Status::ok);
  EXPECT_EQ(line.view(), example::witness_line);
}
