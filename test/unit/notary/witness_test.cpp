#include "notary/witness.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "core/checkpoint.h"
#include "notary/encoding.h"
#include "notary/failure.h"
#include "notary_support.h"

using namespace spine;

namespace {

// A log of made-up leaves, its key, and a witness with a state of its own.
class WitnessTest : public ::testing::Test {
 protected:
  WitnessTest() {
    log_public_ = make_key_file(folder_.path() + "/log", "log.example/w", SignatureType::ed25519);
    make_key_file(folder_.path() + "/witness", "witness.example", SignatureType::cosignature);
    log_ = Signer::from_file(folder_.path() + "/log");
    signer_ = Signer::from_file(folder_.path() + "/witness");
    for (int i = 0; i < 100; i++) {
      Hash leaf;
      EXPECT_EQ(hasher_.leaf("leaf " + std::to_string(i), &leaf), Status::ok);
      leaves_.push_back(leaf);
    }
    witness_.emplace(folder_.path() + "/state", *signer_, std::vector<std::string>{log_public_}, true);
  }

  Hash root_of(uint64_t size) {
    LeafList list(leaves_.data(), leaves_.size());
    Hash root;
    EXPECT_EQ(tree_root(hasher_, list, size, &root), ProofStatus::ok);
    return root;
  }

  std::string note(uint64_t size, Hash root, const std::string &origin = "log.example/w") {
    std::string text = origin + '\n' + std::to_string(size) + '\n' + base64_of(root) + '\n';
    return text + '\n' + log_->sign(text);
  }
  std::string note(uint64_t size) { return note(size, root_of(size)); }

  std::string proof(uint64_t old_size, uint64_t new_size) {
    LeafList list(leaves_.data(), leaves_.size());
    Proof proof;
    EXPECT_EQ(prove_consistency(hasher_, list, old_size, new_size, &proof), ProofStatus::ok);
    std::string lines;
    for (size_t i = 0; i < proof.count; i++) lines += base64_of(proof.hashes[i]) + '\n';
    return lines;
  }

  Answer add(uint64_t old_size, const std::string &proof_lines, const std::string &message) {
    return witness_->add_checkpoint("old " + std::to_string(old_size) + '\n' + proof_lines + '\n' + message, 1774567890);
  }
  int status(uint64_t old_size, const std::string &proof_lines, const std::string &message) {
    return add(old_size, proof_lines, message).status;
  }

  // Starts the witness again on its state.
  void restart() {
    witness_.reset();
    witness_.emplace(folder_.path() + "/state", *signer_, std::vector<std::string>{log_public_}, false);
  }

  Folder folder_;
  TreeHasher hasher_;
  std::vector<Hash> leaves_;
  std::string log_public_;
  std::unique_ptr<Signer> log_, signer_;
  std::optional<Witness> witness_;
};

TEST_F(WitnessTest, CosignsWhatExtendsWhatItCosigned) {
  EXPECT_EQ(status(0, "", note(7)), 200);
  Answer answer = add(7, proof(7, 20), note(20));
  ASSERT_EQ(answer.status, 200);
  std::string cosigned = note(20) + answer.body;
  Note read;
  SignedBy by;
  VerifierKey key = signer_->key();
  ASSERT_EQ(parse_note(cosigned, &read), nullptr);
  EXPECT_EQ(verify_note(read, &key, 1, &by), NoteVerdict::verified);
  EXPECT_EQ(by.time, 1774567890u);
}

TEST_F(WitnessTest, TheSameCheckpointIsCosignedAgain) {
  EXPECT_EQ(status(0, "", note(7)), 200);
  EXPECT_EQ(status(7, "", note(7)), 200);
  EXPECT_EQ(status(7, proof(3, 7), note(7)), 422);
}

TEST_F(WitnessTest, NeverASmallerOrAnotherTree) {
  EXPECT_EQ(status(0, "", note(20)), 200);
  Answer conflict = add(0, "", note(7));
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(conflict.body, "20\n");
  EXPECT_EQ(conflict.content_type, "text/x.tlog.size");
  EXPECT_EQ(status(7, proof(7, 30), note(30)), 409);
  Answer other = add(20, "", note(20, root_of(19)));
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(other.body, "20\n");
  EXPECT_EQ(status(20, proof(20, 30), note(30, root_of(31))), 422);
  EXPECT_EQ(status(20, "", note(30)), 422);
  EXPECT_EQ(status(20, proof(20, 31), note(30)), 422);
  EXPECT_EQ(status(20, proof(20, 30), note(30)), 200);
}

TEST_F(WitnessTest, RefusesByTheStandardsCodes) {
  EXPECT_EQ(status(0, "", note(7, root_of(7), "other.example")), 404);
  std::string forged = note(7);
  forged[forged.size() - 6] = forged[forged.size() - 6] == 'A' ? 'B' : 'A';
  EXPECT_EQ(status(0, "", forged), 403);
  EXPECT_EQ(status(8, "", note(7)), 400);
  EXPECT_EQ(status(0, proof(3, 7), note(7)), 422);
  EXPECT_EQ(status(0, "", note(0, root_of(7))), 422);
  EXPECT_EQ(witness_->add_checkpoint("", 1).status, 400);
  EXPECT_EQ(witness_->add_checkpoint("old 0\n", 1).status, 400);
  EXPECT_EQ(witness_->add_checkpoint("old 00\n\n" + note(7), 1).status, 400);
  EXPECT_EQ(witness_->add_checkpoint("old 0\nx\n\n" + note(7), 1).status, 400);
  EXPECT_EQ(witness_->add_checkpoint("old 0\n\n" + std::string("\xff"), 1).status, 400);
  EXPECT_EQ(status(0, "", note(7)), 200);  // none of these changed anything
}

TEST_F(WitnessTest, TakesSixtyThreeLinesOfProof) {
  std::string line = base64_of(root_of(1)) + '\n', lines;
  for (int i = 0; i < 63; i++) lines += line;
  EXPECT_EQ(status(0, "", note(7)), 200);
  EXPECT_EQ(status(7, lines, note(20)), 422);
  EXPECT_EQ(status(7, lines + line, note(20)), 400);
}

TEST_F(WitnessTest, RemembersAfterARestart) {
  EXPECT_EQ(status(0, "", note(20)), 200);
  restart();
  EXPECT_EQ(status(0, "", note(7)), 409);
  EXPECT_EQ(status(20, proof(20, 30), note(30)), 200);
}

TEST_F(WitnessTest, ShowsWhatItCosignedLast) {
  EXPECT_EQ(witness_->checkpoint(std::string(64, '0')).status, 404);
  EXPECT_EQ(status(0, "", note(7) + "\xe2\x80\x94 stranger.example AAAAAAAA\n"), 200);
  Sha256 sha256;
  Hash hash;
  ASSERT_EQ(sha256.digest("log.example/w", &hash), Status::ok);
  Answer shown = witness_->checkpoint(hex_of(Bytes{hash.data(), hash.size()}));
  ASSERT_EQ(shown.status, 200);
  EXPECT_EQ(shown.body.substr(0, note(7).size()), note(7));
  EXPECT_EQ(shown.body.find("stranger"), std::string::npos);
}

TEST_F(WitnessTest, ItsStateIsItsOwn) {
  // Another process on the same state.
  EXPECT_THROW(Witness(folder_.path() + "/state", *signer_, {log_public_}, false), Failure);
  witness_.reset();
  // A state that was lost, and one of another key.
  EXPECT_THROW(Witness(folder_.path() + "/lost", *signer_, {log_public_}, false), Failure);
  make_key_file(folder_.path() + "/second", "witness.example", SignatureType::cosignature);
  std::unique_ptr<Signer> second = Signer::from_file(folder_.path() + "/second");
  EXPECT_THROW(Witness(folder_.path() + "/state", *second, {log_public_}, true), Failure);
  // A key that is none of a witness.
  EXPECT_THROW(Witness(folder_.path() + "/new", *log_, {log_public_}, true), Failure);
}

TEST_F(WitnessTest, ADamagedStateIsNotBelieved) {
  EXPECT_EQ(status(0, "", note(20)), 200);
  witness_.reset();
  Sha256 sha256;
  Hash hash;
  ASSERT_EQ(sha256.digest("log.example/w", &hash), Status::ok);
  write_file(folder_.path() + "/state", hex_of(Bytes{hash.data(), hash.size()}) + ".checkpoint", note(7));
  EXPECT_THROW(Witness(folder_.path() + "/state", *signer_, {log_public_}, false), Failure);
}

}  // namespace
