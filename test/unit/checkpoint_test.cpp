#include "core/checkpoint.h"

#include <gtest/gtest.h>

#include "note_examples.h"
#include "support.h"

using spine::Buffer;
using spine::Checkpoint;
using spine::SignedBy;
using spine::SignerKey;
using spine::Status;
using spine::VerifierKey;

namespace {

const std::string root = "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g=\n";
const std::string not_by_log = "no known key that bears the origin's name signed the checkpoint";

bool readable(const std::string &text) {
  Checkpoint checkpoint;
  return spine::parse_checkpoint(text, &checkpoint) == nullptr;
}

std::string written(const Checkpoint &checkpoint) {
  Buffer out;
  return spine::append_checkpoint(checkpoint, &out) == Status::ok ? std::string(out.view()) : "malformed";
}

// What is wrong, "" where nothing is. known: the keys' texts.
std::string opened(const std::string &message, const std::vector<std::string> &known, std::vector<SignedBy> *by) {
  std::vector<VerifierKey> keys(known.size());
  for (size_t i = 0; i < known.size(); i++) EXPECT_EQ(spine::parse_verifier_key(known[i], &keys[i]), nullptr);
  by->assign(known.size(), {true, 5});
  Checkpoint checkpoint;
  const char *why = spine::open_checkpoint(message, keys.data(), keys.size(), by->data(), &checkpoint);
  if (why == nullptr) return "";
  for (const SignedBy &one : *by) EXPECT_FALSE(one.verified || one.time != 0);
  EXPECT_TRUE(checkpoint.origin.empty());
  return why;
}

std::string opened(const std::string &message, const std::vector<std::string> &known) {
  std::vector<SignedBy> by;
  return opened(message, known, &by);
}

std::string signed_by_log(const std::string &text) {
  SignerKey key;
  EXPECT_EQ(spine::parse_signer_key(example::log_signer, &key), nullptr);
  Buffer out;
  EXPECT_EQ(spine::append_note_text(text, &out), Status::ok);
  EXPECT_EQ(spine::append_signature(key, 0, text, &out), Status::ok);
  return std::string(out.view());
}

}  // namespace

TEST(Checkpoint, IsReadAndWrittenBack) {
  for (const std::string &text : {example::text, example::text + "an extension\n", example::text + "two\nof them: ö\n",
                                  "a b+c\n0\n" + root, "o\n9223372036854775807\n" + root}) {
    Checkpoint checkpoint;
    ASSERT_EQ(spine::parse_checkpoint(text, &checkpoint), nullptr) << text;
    EXPECT_EQ(written(checkpoint), text);
  }
  const std::string text = example::text + "more\n";
  Checkpoint checkpoint;
  ASSERT_EQ(spine::parse_checkpoint(text, &checkpoint), nullptr);
  EXPECT_EQ(checkpoint.origin, "spine.example/directory");
  EXPECT_EQ(checkpoint.size, 1000u);
  EXPECT_EQ(hex_of(checkpoint.root), "164f6cb91f74f9ef0eb0f08f9c375984cf92be3e268e6c074d5c38cf0c176378");
  EXPECT_EQ(checkpoint.extensions, "more\n");
}

TEST(Checkpoint, RefusesEveryOther) {
  for (size_t n = 0; n < example::text.size(); n++) EXPECT_FALSE(readable(example::text.substr(0, n))) << n;
  for (const char *size : {"", "-1", "+1", "01", "00", " 1", "1 ", "1e3", "0x10", "1,000", "9223372036854775808",
                           "18446744073709551616", "99999999999999999999999999", "ten", "1\n"})
    EXPECT_FALSE(readable(std::string("o\n") + size + "\n" + root)) << size;
  for (const char *hash : {"", "=", "Fk9suR90", "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3h=",
                           "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g",
                           " Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g=",
                           "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g= ",
                           "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3hh",
                           "Fk9suR90-e8OsPCPnDdZhM-Svj4mjmwHTVw4zwwXY3g="})
    EXPECT_FALSE(readable(std::string("o\n1\n") + hash + "\n")) << hash;
  const std::string &good = example::text;
  for (const std::string &text :
       {"\n1\n" + root, "\no\n1\n" + root, "o\n\n1\n" + root, good + "\n", good + "\nx\n", good + "x\n\n",
        good + "x\n\ny\n", good + "x", good + "\t\n", "o\r\n1\r\n" + root, "\xff\n1\n" + root,
        std::string("\0\n1\n", 4) + root})
    EXPECT_FALSE(readable(text)) << text;
}

TEST(Checkpoint, WritesNoneThatItWouldNotRead) {
  Checkpoint good;
  ASSERT_EQ(spine::parse_checkpoint(example::text, &good), nullptr);
  for (const char *origin : {"", "two\nlines", "o\n1", "\xff", "tab\t"}) {
    Checkpoint bad = good;
    bad.origin = origin;
    EXPECT_EQ(written(bad), "malformed") << origin;
  }
  for (const char *extensions : {"x", "\n", "x\n\n", "x\n\ny\n", "\nx\n", "\x01\n"}) {
    Checkpoint bad = good;
    bad.extensions = extensions;
    EXPECT_EQ(written(bad), "malformed") << extensions;
  }
  good.size = uint64_t{1} << 63;
  EXPECT_EQ(written(good), "malformed");
}

TEST(Checkpoint, IsWrittenBehindWhatIsThere) {
  Buffer out;
  out.append("before\n");
  Checkpoint checkpoint;
  ASSERT_EQ(spine::parse_checkpoint(example::text, &checkpoint), nullptr);
  ASSERT_EQ(spine::append_checkpoint(checkpoint, &out), Status::ok);
  EXPECT_EQ(out.view(), "before\n" + example::text);
}

TEST(Checkpoint, OpensWhereTheLogSigned) {
  std::vector<SignedBy> by;
  EXPECT_EQ(opened(example::note, {example::log_key, example::witness_key}, &by), "");
  EXPECT_TRUE(by[0].verified && by[1].verified);
  EXPECT_EQ(by[1].time, example::cosigned_at);
  EXPECT_EQ(opened(example::text + "\n" + example::log_line, {example::log_key, example::witness_key}, &by), "");
  EXPECT_TRUE(by[0].verified && !by[1].verified);
}

TEST(Checkpoint, DoesNotOpenOtherwise) {
  EXPECT_EQ(opened(example::note, {}), "no known key signed the checkpoint");
  EXPECT_EQ(opened(example::note, {example::witness_key}), not_by_log);
  EXPECT_EQ(opened(example::text + "\n" + example::witness_line, {example::log_key, example::witness_key}), not_by_log);
  EXPECT_EQ(opened(example::text, {example::log_key}), "the note has no empty line before signatures");
  std::string other = example::note;
  other[other.find("1000")] = '2';
  EXPECT_EQ(opened(other, {example::log_key}), "a signature of a known key is not over this checkpoint");
}

// A known log may not speak for another.
TEST(Checkpoint, BindsTheKeyToTheOrigin) {
  EXPECT_EQ(opened(signed_by_log("another.example\n1000\n" + root), {example::log_key}), not_by_log);
  EXPECT_EQ(opened(signed_by_log("no checkpoint\n"), {example::log_key}), "the checkpoint has fewer than three lines");
}

// Nor may a witness that bears the log's name.
TEST(Checkpoint, ACosignatureIsNoLogsSignature) {
  SignerKey cosigner;
  cosigner.private_key.seed.fill(3);
  spine::SignatureType type = spine::SignatureType::cosignature;
  ASSERT_EQ(spine::make_signer_key("spine.example/directory", type, &cosigner), Status::ok);
  Buffer note;
  ASSERT_EQ(spine::append_note_text(example::text, &note), Status::ok);
  ASSERT_EQ(spine::append_signature(cosigner, 1, example::text, &note), Status::ok);
  std::string key(spine::verifier_key_size(cosigner.verifier.name), '\0');
  spine::write_verifier_key(key.data(), cosigner.verifier);
  EXPECT_EQ(opened(std::string(note.view()), {key}), not_by_log);
}

TEST(Checkpoint, ATreeWithoutLeavesHasOneRoot) {
  Checkpoint empty;
  empty.origin = "spine.example/directory";
  empty.root = spine::empty_tree_root;
  EXPECT_EQ(opened(signed_by_log(written(empty)), {example::log_key}), "");
  empty.root[0] ^= 1;
  EXPECT_FALSE(empty.root_fits_size());
  EXPECT_EQ(opened(signed_by_log(written(empty)), {example::log_key}),
            "the checkpoint has no leaves, and yet another root than a tree without leaves");
}
