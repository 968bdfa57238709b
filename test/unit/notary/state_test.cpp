#include "notary/state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/checkpoint.h"
#include "notary/encoding.h"
#include "notary/failure.h"
#include "notary/files.h"
#include "notary/signer.h"
#include "notary_support.h"
#include "world.h"

using namespace spine;

namespace {

TEST(State, IsReadAsItWasWritten) {
  Folder folder;
  World world;
  world.grow(1, 5);
  world.grow(2, 7);
  world.checkpoint();
  State state = world.signed_state();
  write_state(folder.path(), state, {world.organization(1), world.organization(2)});
  std::optional<State> read = read_state(folder.path(), "log.example");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, 1u);
  EXPECT_EQ(read->root, state.root);
  EXPECT_EQ(read->entry, state.entry);
  EXPECT_EQ(read->wal, state.wal);
  EXPECT_EQ(read->checkpoint_text(), state.checkpoint_text());
  ASSERT_EQ(read->chains.size(), 2u);
  EXPECT_EQ(read->chains.at(world.organization(2)).size, 7u);
  EXPECT_EQ(read->chains.at(world.organization(2)).leaf_hash, state.chains.at(world.organization(2)).leaf_hash);
  HistoryEntry history = History(folder.path()).read(1);
  EXPECT_EQ(history.root, state.root);
  ASSERT_EQ(history.changed.size(), 2u);
  EXPECT_EQ(history.changed[0].size, 5u);
}

TEST(State, IsOfOneOrigin) {
  Folder folder;
  EXPECT_FALSE(read_state(folder.path(), "log.example"));
  World world;
  world.grow(1, 5);
  world.checkpoint();
  write_state(folder.path(), world.signed_state(), {});
  EXPECT_THROW(read_state(folder.path(), "other.example"), Failure);
}

// Whatever byte of it is another, it is not believed: but for the WAL position and the origin, which nothing vouches
// for.
TEST(State, DamageShows) {
  Folder folder;
  World world;
  world.grow(1, 5);
  world.grow(2, 7);
  world.checkpoint();
  State state = world.signed_state();
  write_state(folder.path(), state, {});
  std::string text = *read_file(folder.path() + "/state", 1 << 20);
  size_t range = text.find('\n', text.find('\n', text.find('\n') + 1) + 1) + 1;
  int believed = 0;
  for (size_t i = range; i < text.size(); i++) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    write_file(folder.path(), "state", damaged);
    try {
      // A changed range or entry is a state of another log, which the note that was signed and the database tell.
      std::optional<State> read = read_state(folder.path(), "log.example");
      if (read->root == state.root && read->entry == state.entry) believed++;
    } catch (const Failure &) {
    }
  }
  EXPECT_EQ(believed, 0);
  write_file(folder.path(), "state", text.substr(0, text.size() - 10));
  EXPECT_THROW(read_state(folder.path(), "log.example"), Failure);
}

TEST(State, UnsignedHistoryIsDropped) {
  Folder folder;
  World world;
  for (int i = 0; i < 3; i++) {
    world.grow(1, 1);
    world.checkpoint();
    write_state(folder.path(), world.signed_state(), {});
  }
  drop_unsigned_history(folder.path(), 2);
  EXPECT_EQ(History(folder.path()).numbers(), (std::vector<uint64_t>{1, 2}));
}

TEST(Files, ALockIsHeldByOne) {
  Folder folder;
  Descriptor lock = lock_directory(folder.path(), false);
  EXPECT_THROW(lock_directory(folder.path(), false), Failure);
  lock = Descriptor();
  EXPECT_THROW(lock_directory(folder.path() + "/none", false), Failure);
  lock_directory(folder.path() + "/none", true);
}

TEST(Files, ASecretIsItsOwners) {
  Folder folder;
  std::string path = folder.path() + "/key";
  write_new_secret(path, "secret");
  struct stat about;
  ASSERT_EQ(stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(read_secret(path), "secret");
  EXPECT_THROW(write_new_secret(path, "another"), Failure);
  for (mode_t mode : {0640, 0604, 0620, 0602, 0610}) {
    chmod(path.c_str(), mode);
    EXPECT_THROW(read_secret(path), Failure) << mode;
  }
}

TEST(Signer, SignsAsItsKeySays) {
  Folder folder;
  std::string path = folder.path() + "/key", text = "log.example\n1\n" + base64_of(empty_tree_root) + "\n";
  std::string public_key = make_key_file(path, "log.example", SignatureType::ed25519);
  std::string note = text + '\n' + Signer::from_file(path)->sign(text);
  VerifierKey key;
  SignedBy by;
  Checkpoint checkpoint;
  ASSERT_EQ(parse_verifier_key(public_key, &key), nullptr);
  EXPECT_EQ(open_checkpoint(note, &key, 1, &by, &checkpoint), nullptr);
  EXPECT_THROW(make_key_file(path, "log.example", SignatureType::ed25519), Failure);
  EXPECT_THROW(make_key_file(folder.path() + "/new", "two words", SignatureType::ed25519), Failure);
  EXPECT_FALSE(read_file(folder.path() + "/new", 1000));
}

TEST(Signer, ReadsAnSshKey) {
  Folder folder;
  // ssh-keygen -t ed25519
  const char *line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKmQCSg4wXmqUSNNO2MwzVYxoKI9yhEY5/ZAHxoJdzeD who@where\n";
  Ed25519PublicKey key;
  ASSERT_TRUE(read_ssh_public_key(std::string_view(line).substr(0, 91), &key));
  EXPECT_EQ(key[0], 0xa9);
  EXPECT_EQ(key[31], 0x83);
  for (const char *wrong : {"", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA",
                            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKmQ"})
    EXPECT_FALSE(read_ssh_public_key(wrong, &key)) << wrong;
  write_file(folder.path(), "key.pub", line);
  EXPECT_EQ(public_key_of_ssh(folder.path() + "/key.pub", "log.example", SignatureType::ed25519).substr(0, 12),
            "log.example+");
}

}  // namespace
