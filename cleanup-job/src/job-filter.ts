import type { JobId } from "@video-storage/contract/identity";

const WORDS = 1 << 19;
const PROBES = 7;

/**
 * Which jobs were seen, in 2 MiB, however many they are (a Bloom filter). "No" is always right; "yes" is wrong about
 * once in 100 million times at 100,000 jobs, about once in 1,500 at a million. What follows from a wrong "yes" must
 * therefore be harmless, and is put right by the next sweep: every filter hashes by a key of its own, which also keeps
 * a tenant from choosing names that are taken for others.
 */
export class JobFilter {
  private readonly bits = new Uint32Array(WORDS);
  private readonly key = crypto.getRandomValues(new Uint32Array(4));

  add(jobId: JobId): void {
    const [first, step] = this.hash(jobId);
    for (let i = 0, bit = first; i < PROBES; i++, bit = (bit + step) >>> 0) {
      this.bits[(bit >>> 5) % WORDS]! |= 1 << (bit & 31);
    }
  }

  mayHave(jobId: JobId): boolean {
    const [first, step] = this.hash(jobId);
    for (let i = 0, bit = first; i < PROBES; i++, bit = (bit + step) >>> 0) {
      if ((this.bits[(bit >>> 5) % WORDS]! & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  /** Two numbers from the id's 128 bits, mixed as MurmurHash3 does. */
  private hash(jobId: JobId): [number, number] {
    let first = this.key[0]!;
    let second = this.key[1]!;
    for (const [start, end] of WORDS_OF_ID) {
      const word = parseInt(jobId.slice(start, end).replace("-", ""), 16) | 0;
      first = mixed(first ^ word, this.key[2]!);
      second = mixed(second ^ first ^ word, this.key[3]!);
    }
    return [first >>> 0, (second | 1) >>> 0];
  }
}

/** Where the four groups of eight digits are in xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx. */
const WORDS_OF_ID = [
  [0, 8],
  [9, 18],
  [19, 28],
  [28, 36],
] as const;

function mixed(value: number, key: number): number {
  let mix = Math.imul(value ^ key, 0xcc9e2d51);
  mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}
