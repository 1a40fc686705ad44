import { BlockList, isIP } from "node:net";

/** A range of IP addresses. */
export interface AddressRange {
  readonly version: 4 | 6;
  readonly base: string;
  readonly bits: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;
/** Wider than any network that somebody has: 10.0.0.0/8 and fc00::/7 are the widest that are private. */
const NARROWEST_OF_ALL = { 4: 8, 6: 7 } as const;

/** A range in CIDR notation, or one address; undefined for what is neither. */
export function addressRange(cidr: string): AddressRange | undefined {
  const [, base = "", given] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(cidr) ?? [];
  const version = isIP(base) as 0 | 4 | 6;
  if (version === 0) return undefined;
  const bits = given === undefined ? WIDTH[version] : Number(given);
  return bits > WIDTH[version] ? undefined : { version, base, bits };
}

/** Whether a range holds an address. */
export function reaches({ version, base, bits }: AddressRange, address: string): boolean {
  if (isIP(address) !== version) return false;
  const family = `ipv${version}` as const;
  const block = new BlockList();
  block.addSubnet(base, bits, family);
  return block.check(address, family);
}

/** Whether a range is that of everybody, or so large a part of it that it is nobody's in particular. */
export function isEverywhere({ version, bits }: AddressRange): boolean {
  return bits < NARROWEST_OF_ALL[version];
}
