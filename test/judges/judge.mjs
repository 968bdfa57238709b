// Judges a bundle with the verifier of sigstore, which knows nothing of the spine: the checkpoint's signature, and the
// inclusions of the entry in the log, of the chain in the tree of chains, of single events in the chain. Prints TAP.
//   node judge.mjs POLICY BUNDLE
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
// The package exports neither.
const folder = join(dirname(require.resolve('@sigstore/verify')), 'tlog');
const { verifyCheckpoint } = require(join(folder, 'checkpoint.js'));
const { verifyMerkleInclusion } = require(join(folder, 'merkle.js'));

const [policyFile, bundleFile] = process.argv.slice(2);
const logKey = /^log (\S+)/m.exec(readFileSync(policyFile, 'utf8'))[1];
const lines = readFileSync(bundleFile, 'utf8').trimEnd().split('\n').map(line => JSON.parse(line));

let failed = 0;
function check(what, action) {
  let why = null;
  try { action(); } catch (error) { why = error; }
  console.log(`${why ? 'not ok' : 'ok'} - sigstore: ${what}${why ? `: ${why}` : ''}`);
  if (why) failed++;
}
const refuses = (what, action) => check(`refuses ${what}`, () => {
  let done = false;
  try { action(); done = true; } catch { /* as it must */ }
  if (done) throw new Error('was taken');
});

const hex = text => Buffer.from(text, 'hex');
const included = (data, index, proof, size, root) =>
  verifyMerkleInclusion({ canonicalizedBody: data, inclusionProof: { logIndex: String(index), hashes: proof.map(hex) } }, { logSize: BigInt(size), logHash: root });

// sigstore finds a key by the first four bytes of its id, and takes it as node does.
const [name, id] = logKey.split('+');
const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(logKey.slice(name.length + id.length + 2), 'base64').subarray(1).toString('base64url') } });
const log = [{ logID: hex(id), baseURL: name, publicKey }];
const open = note => verifyCheckpoint({ inclusionProof: { checkpoint: { envelope: note } } }, log);

const note = lines[1].checkpoint;
const { directory } = lines[2];
let checkpoint;
check('the checkpoint is signed', () => { checkpoint = open(note); });
refuses('another checkpoint', () => open(note.replace(/\n(\d+)\n/, (_, size) => `\n${Number(size) + 1}\n`)));
const entry = Buffer.from(directory.entry);
check('the entry is in the log', () => included(entry, directory.index, directory.proof, checkpoint.logSize, checkpoint.logHash));
refuses('another entry', () => included(Buffer.concat([entry, entry]), directory.index, directory.proof, checkpoint.logSize, checkpoint.logHash));
const [, , chains, chainsRoot] = directory.entry.split('\n');
let chain, events = 0;
for (const line of lines.slice(3)) {
  if (line.chain) {
    chain = line.chain;
    const base64 = text => hex(text).toString('base64');
    const leaf = Buffer.from(`${chain.organization_id}\n${chain.size}\n${base64(chain.root)}\n${base64(chain.head_hash)}\n`);
    const root = Buffer.from(chainsRoot, 'base64');
    check(`chain ${chain.index} is in the tree of chains`, () => included(leaf, chain.index, chain.proof, chains, root));
    refuses('a chain at another place', () => included(leaf, chain.index === 0 ? 1 : 0, chain.proof, chains, root));
  } else if (line.proof) {
    const { event } = line;
    check(`event ${event.sequence} is in the chain`, () => included(hex(event.event_hash), event.sequence - 1, line.proof, chain.size, hex(chain.root)));
    refuses('another event', () => included(createHash('sha256').digest(), event.sequence - 1, line.proof, chain.size, hex(chain.root)));
    events++;
  }
}
if (events === 0 && !lines.some(line => line.stretch)) check('there are events', () => { throw new Error('none'); });
process.exitCode = failed === 0 ? 0 : 1;
