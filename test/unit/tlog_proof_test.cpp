#include "core/tlog_proof.h"

#include <gtest/gtest.h>

#include "core/checkpoint.h"
#include "merkle_reference.h"
#include "note_examples.h"
#include "support.h"

using spine::Buffer;
using spine::Status;
using spine::TlogProof;

namespace {

// Event 815 of the tests' chain, in the checkpoint that the examples sign.
const std::string title = "c2sp.org/tlog-proof@v1\n";
const std::string hashes =
    "8f+QL5BymuFZ3iV7GEQS/dHO8Xk1LqgBZqnBGZamUHQ=\n"
    "t7StXPS1XjEWb4uit/ItLrXWocoikhpVlMVWpYCARrI=\n"
    "pTZEkIUkALvTKdvA+4ox1Z1+YLPUjGnV/5iimB07NJs=\n"
    "sruSDCwyBzsSfQB6zD80Jnsr9MlOupgvb+AlEk1nGuM=\n"
    "3p5bV8WA+aRo38vDBXbFuER//lNfE+0bJwRfYWeJCog=\n"
    "tCZoUeLFAoaQ07ZYEe34wm+OL4bK8D9sMrSPflMmOv8=\n"
    "GKI09eEu07hHk8CgoShwPMShvRE21fqbzRxaeFuFcbM=\n"
    "GTLcefnEHVofctCwovvul9pCM8RM5vfblFKY723KBfw=\n"
    "yelrMK8b9sELOKCdxfVb59gS3ApMT7zzuEjZznWJF4I=\n"
    "B47LiOb0kD1aGf5ERjsCz+jjmQNN4tNR09+EXB8ndEQ=\n";
const std::string proof_text = title + "index 814\n" + hashes + "\n" + example::note;

bool readable(const std::string &text) {
  TlogProof proof;
  return spine::parse_tlog_proof(text, &proof) == nullptr;
}

std::string written(const TlogProof &proof) {
  Buffer out;
  return spine::append_tlog_proof(proof, &out) == Status::ok ? std::string(out.view()) : "malformed";
}

}  // namespace

TEST(TlogProof, ProvesAnEvent) {
  TlogProof proof;
  ASSERT_EQ(spine::parse_tlog_proof(proof_text, &proof), nullptr);
  EXPECT_EQ(proof.index, 814u);
  EXPECT_TRUE(proof.extra.empty());
  EXPECT_EQ(written(proof), proof_text);

  spine::VerifierKey key;
  ASSERT_EQ(spine::parse_verifier_key(example::log_key, &key), nullptr);
  spine::SignedBy by;
  spine::Checkpoint checkpoint;
  ASSERT_EQ(spine::open_checkpoint(proof.checkpoint, &key, 1, &by, &checkpoint), nullptr);
  spine::TreeHasher hasher;
  spine::Hash leaf;
  ASSERT_EQ(hasher.leaf(merkle::sha256("event 815"), &leaf), Status::ok);
  EXPECT_EQ(spine::verify_inclusion(hasher, proof.index, checkpoint.size, leaf, checkpoint.root, proof.proof),
            spine::ProofStatus::ok);
  EXPECT_EQ(spine::verify_inclusion(hasher, proof.index + 1, checkpoint.size, leaf, checkpoint.root, proof.proof),
            spine::ProofStatus::wrong_root);
}

TEST(TlogProof, IsReadAndWrittenBack) {
  for (const std::string &text :
       {title + "index 0\n\n" + example::note, title + "extra Zg==\nindex 9223372036854775807\n\nwhatever",
        title + "extra " + std::string(100000, 'A') + "\nindex 7\n" + hashes + "\n" + example::note,
        title + "index 1\n\n\n"}) {
    TlogProof proof;
    ASSERT_EQ(spine::parse_tlog_proof(text, &proof), nullptr);
    EXPECT_EQ(written(proof), text);
  }
  const std::string text = title + "extra Zg==\nindex 7\n\n" + example::note;
  TlogProof proof;
  ASSERT_EQ(spine::parse_tlog_proof(text, &proof), nullptr);
  EXPECT_EQ(proof.extra, "Zg==");
  EXPECT_EQ(proof.checkpoint, example::note);
}

TEST(TlogProof, RefusesEveryTruncation) {
  size_t whole = proof_text.size() - example::note.size();
  for (size_t n = 0; n <= whole; n++) EXPECT_FALSE(readable(proof_text.substr(0, n))) << n;
}

TEST(TlogProof, RefusesEveryOther) {
  const std::string rest = hashes + "\n" + example::note;
  for (const std::string &text :
       {"index 814\n" + rest, "c2sp.org/tlog-proof@v2\nindex 814\n" + rest, " " + proof_text, "\n" + proof_text,
        title + "\n" + rest, title + "index\n" + rest, title + "index \n" + rest, title + "index -1\n" + rest,
        title + "index 0814\n" + rest,
        title + "index 814 \n" + rest, title + "index 9223372036854775808\n" + rest, title + "INDEX 814\n" + rest,
        title + "extra \nindex 814\n" + rest, title + "extra Zg\nindex 814\n" + rest,
        title + "extra Zg==\n" + rest,
        title + "index 814\nextra Zg==\n" + rest, title + "extra Zg==\nextra Zg==\nindex 814\n" + rest,
        title + "index 814\nindex 814\n" + rest, title + "index 814\nZg==\n" + rest,
        title + "index 814\r\n" + rest, title + "index 814\n" + example::note,
        title + "index 814\n \n" + example::note})
    EXPECT_FALSE(readable(text)) << text;
}

TEST(TlogProof, HoldsAsManyHashesAsAnyTreeAsksForAndNoMore) {
  const std::string hash = hashes.substr(0, hashes.find('\n') + 1);
  std::string many = title + "index 1\n";
  for (size_t i = 0; i < spine::Proof::max_hashes; i++) many += hash;
  EXPECT_TRUE(readable(many + "\n" + example::note));
  EXPECT_FALSE(readable(many + hash + "\n" + example::note));
}

TEST(TlogProof, WritesNoneThatItWouldNotRead) {
  TlogProof good;
  ASSERT_EQ(spine::parse_tlog_proof(proof_text, &good), nullptr);
  TlogProof no_checkpoint = good, large = good, not_base64 = good;
  no_checkpoint.checkpoint = {};
  large.index = uint64_t{1} << 63;
  not_base64.extra = "Zg";
  for (const TlogProof &bad : {no_checkpoint, large, not_base64}) EXPECT_EQ(written(bad), "malformed");
}
