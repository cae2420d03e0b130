/**
 * A position in the write-ahead log, as a 64-bit integer.
 *
 * Postgres prints an LSN as two unpadded hexadecimal halves ("16/B374D848"). The halves must be combined
 * arithmetically: comparing the text orders "1/0" before "0/FF".
 */
export type Lsn = bigint & { readonly __brand: 'Lsn' }

export const ZERO_LSN = 0n as Lsn

/** Reads Postgres's own spelling. Throws a TypeError on anything else: it never came from Postgres. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (match === null) throw new TypeError(`malformed LSN: ${text}`)
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn
}

/** The spelling of `pg_lsn`'s output function: upper case, halves unpadded. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`
}

export function laterLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}
