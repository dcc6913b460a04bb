// Reads a CAR file with the libraries that IPFS tools are made of: every block must hash to its name and be DAG-CBOR, every
// link must lead to a block of the file, and the roots must be the heads given. Prints what it found as JSON.
import { createReadStream } from "node:fs";
import { CarBlockIterator } from "@ipld/car";
import * as dagCbor from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";

const RAW = 0x55;
const [file, heads] = process.argv.slice(2);

function fail(what) {
  throw new Error(what);
}

/** Every link in a decoded value. */
function* links(value) {
  const cid = CID.asCID(value);
  if (cid) {
    yield cid;
  } else if (Array.isArray(value)) {
    for (const v of value) yield* links(v);
  } else if (value && typeof value === "object" && !(value instanceof Uint8Array)) {
    for (const v of Object.values(value)) yield* links(v);
  }
}

const car = await CarBlockIterator.fromIterable(createReadStream(file));
const roots = (await car.getRoots()).map(String).sort();
const expected = heads.split(",").sort();
if (roots.join() !== expected.join()) fail(`roots ${roots}, heads ${expected}`);

const held = new Map();
let headers = 0;
let genesis = null;
for await (const { cid, bytes } of car) {
  const hash = await sha256.digest(bytes);
  if (Buffer.compare(hash.bytes, cid.multihash.bytes) !== 0) fail(`${cid} is not the hash of its bytes`);
  if (cid.version !== 1) fail(`${cid} is not a CIDv1`);
  if (cid.code === RAW) {
    held.set(String(cid), []);
    continue;
  }
  if (cid.code !== dagCbor.code) fail(`${cid} has codec ${cid.code}`);
  const value = dagCbor.decode(bytes);
  // Canonical: what the library writes of it are the same bytes.
  if (Buffer.compare(dagCbor.encode(value), bytes) !== 0) fail(`${cid} is not canonical DAG-CBOR`);
  held.set(String(cid), [...links(value)].map(String));
  // An envelope: the header of nine elements, and a signature.
  if (value.length === 2 && value[0].length === 9 && value[1] instanceof Uint8Array) {
    headers += 1;
    const [, , , , prev, parents] = value[0];
    if (prev === null && parents.length === 0) genesis = String(cid);
  }
}

// From the roots everything is reached, and nothing is missing on the way.
const reached = new Set();
const next = [...roots];
while (next.length > 0) {
  const cid = next.pop();
  if (reached.has(cid)) continue;
  reached.add(cid);
  const to = held.get(cid) ?? fail(`${cid} is missing`);
  next.push(...to);
}
if (reached.size !== held.size) fail(`${held.size} blocks, of which ${reached.size} are reached from the roots`);
console.log(JSON.stringify({ headers, bodies: held.size - headers, genesis }));
