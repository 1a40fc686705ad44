/** Castagnoli's polynomial, reflected; Node's zlib has the other CRC32 only. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value >>> 0;
});

/** The checksum in the form that S3 has it: big-endian, base 64. */
export function crc32c(content: Buffer): string {
  let value = 0xffffffff;
  for (const byte of content) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((value ^ 0xffffffff) >>> 0);
  return bytes.toString("base64");
}
