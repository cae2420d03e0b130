/** The addresses that a webhook may go to: a table of every block that is not public, and properties over all addresses. */
import { BlockList, isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AddressPolicy,
  canonicalAddress,
  isAddressAllowed,
  isLocalhostName,
  judgeUrl,
  parseNetwork,
} from '../../src/core/address-policy.ts'
import {
  FORBIDDEN_BLOCKS,
  FORBIDDEN_HOSTS,
  FORBIDDEN_TUNNELS,
  IMPOSSIBLE_HOSTS,
  METADATA_ADDRESSES,
  NAMES,
  OPENINGS,
  PUBLIC_ADDRESSES,
} from '../support/address-table.ts'

const PUBLIC_ONLY: AddressPolicy = { allowHttp: false, allowNetworks: [] }

const octet = fc.integer({ min: 0, max: 255 })
const group = fc.integer({ min: 0, max: 0xffff })

function allowing(...networks: string[]): AddressPolicy {
  return { allowHttp: true, allowNetworks: networks.map(network) }
}

function network(text: string): NonNullable<ReturnType<typeof parseNetwork>> {
  const parsed = parseNetwork(text)
  if (parsed === undefined) throw new Error(`not a network: ${text}`)
  return parsed
}

interface Edges {
  readonly first: bigint
  readonly last: bigint
  readonly bits: bigint
}

function edges(block: string): Edges {
  const { base, prefixBits } = network(block)
  const isIpv4 = base.kind() === 'ipv4'
  const [unitBits, bits] = isIpv4 ? [8n, 32n] : [16n, 128n]
  const units = isIpv4 ? base.toByteArray() : groupsOf(base.toByteArray())
  const hostBits = bits - BigInt(prefixBits)
  const first = (units.reduce((sum, unit) => (sum << unitBits) | BigInt(unit), 0n) >> hostBits) << hostBits
  return { first, last: first + (1n << hostBits) - 1n, bits }
}

function inside(block: string): fc.Arbitrary<bigint> {
  const { first, last } = edges(block)
  return fc.bigInt({ min: first, max: last })
}

function textOf(value: bigint, bits: bigint): string {
  if (bits === 32n) return split(value, 8n, 4).join('.')
  return split(value, 16n, 8)
    .map((each) => each.toString(16))
    .join(':')
}

/** Node's own idea of the same blocks, as far as it goes. */
function forbiddenByNode(): (address: string) => boolean {
  const list = new BlockList()
  for (const [block] of FORBIDDEN_BLOCKS) {
    const [base = '', bits] = block.split('/')
    list.addSubnet(base, Number(bits), isIPv4(base) ? 'ipv4' : 'ipv6')
  }
  return (address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

function groupsOf(bytes: readonly number[]): number[] {
  return bytes.flatMap((byte, index) => (index % 2 === 0 ? [(byte << 8) | (bytes[index + 1] ?? 0)] : []))
}

function split(value: bigint, unitBits: bigint, count: number): number[] {
  return Array.from({ length: count }, (_, i) =>
    Number((value >> (unitBits * BigInt(count - 1 - i))) & ((1n << unitBits) - 1n)),
  )
}

/** Ways to write an IPv4 address in a URL; all of them reach it. */
function ipv4UrlHosts(value: bigint): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = split(value, 8n, 4)
  const hex = value.toString(16).padStart(8, '0')
  return [
    `${a}.${b}.${c}.${d}`,
    `${a}.${b}.${c}.${d}.`,
    `${value}`,
    `0x${hex}`,
    `0${value.toString(8)}`,
    `${a}.${(b << 16) | (c << 8) | d}`,
    `0x${a.toString(16)}.0${b.toString(8)}.${(c << 8) | d}`,
    `${a}%2e${b}.${c}.${d}`,
    `[::ffff:${a}.${b}.${c}.${d}]`,
    `[::ffff:${hex.slice(0, 4)}:${hex.slice(4)}]`,
    `[::${a}.${b}.${c}.${d}]`,
    `[64:ff9b::${a}.${b}.${c}.${d}]`,
  ]
}

function ipv6Spellings(value: bigint): string[] {
  const groups = split(value, 16n, 8)
  const plain = groups.map((each) => each.toString(16)).join(':')
  const padded = groups.map((each) => each.toString(16).padStart(4, '0').toUpperCase()).join(':')
  const dotted = `${groups
    .slice(0, 6)
    .map((each) => each.toString(16))
    .join(':')}:${split(value & 0xffffffffn, 8n, 4).join('.')}`
  return [plain, padded, dotted, canonicalAddress(plain) ?? '']
}

describe('an address', () => {
  test.for(FORBIDDEN_BLOCKS)(
    'of %s (%s) is not allowed, from the first to the last',
    ([block, , ...within]) => {
      const { first, last, bits } = edges(block)
      const addresses = [textOf(first, bits), textOf(last, bits), ...within]
      expect(addresses.filter((address) => isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
      const blockList = new BlockList()
      const [base = '', prefix] = block.split('/')
      blockList.addSubnet(base, Number(prefix), isIPv4(base) ? 'ipv4' : 'ipv6')
      expect(within.filter((each) => !blockList.check(each, isIPv4(each) ? 'ipv4' : 'ipv6'))).toEqual([])
    },
  )

  test('just outside a block is allowed, unless another block has it', () => {
    const isForbidden = forbiddenByNode()
    const outside = FORBIDDEN_BLOCKS.flatMap(([block]) => {
      const { first, last, bits } = edges(block)
      return [first - 1n, last + 1n]
        .filter((value) => value >= 0n && value < 1n << bits)
        .map((value) => textOf(value, bits))
    })
    expect(outside.length).toBeGreaterThan(80)
    // Where IPv6 has been given out; what lies outside is no block's neighbour but nobody's.
    const given = outside.filter((address) => isIPv4(address) || /^[23][0-9a-f]{3}:/.test(address))
    expect(
      given.filter((address) => isAddressAllowed(address, PUBLIC_ONLY) === isForbidden(address)),
    ).toEqual([])
  })

  test('at which a cloud hands out credentials is not allowed', () => {
    expect(METADATA_ADDRESSES.filter(([address]) => isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
  })

  test('that ends at a private IPv4 host through a tunnel is not allowed', () => {
    expect(FORBIDDEN_TUNNELS.filter((address) => isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
  })

  test('that is public is allowed, right up to the edges of the forbidden blocks', () => {
    expect(PUBLIC_ADDRESSES.filter((address) => !isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
  })

  test.for(OPENINGS)('in %j is allowed, and no other', ([networks, open, shut]) => {
    const policy = allowing(...networks)
    expect(open.filter((address) => !isAddressAllowed(address, policy))).toEqual([])
    expect(shut.filter((address) => isAddressAllowed(address, policy))).toEqual([])
    expect(open.filter((address) => isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
  })

  test('that cannot be read as one is not allowed', () => {
    const unreadable = [
      '',
      'localhost',
      '8.8.8',
      '8.8.8.8:80',
      '0x08.8.8.8',
      '08.8.8.8',
      '134744072',
      ' 8.8.8.8',
      '[2606::1]',
      '::ffff:010.1.1.1',
      '2606::1::2',
    ]
    expect(unreadable.filter((address) => isAddressAllowed(address, PUBLIC_ONLY))).toEqual([])
  })

  test('outside the public space never passes unless a network allows it', () => {
    const isForbidden = forbiddenByNode()
    const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'))
    const ipv6 = fc
      .array(group, { minLength: 8, maxLength: 8 })
      .map((groups) => groups.map((each) => each.toString(16)).join(':'))
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (address) => {
        return !isAddressAllowed(address, PUBLIC_ONLY) || !isForbidden(address)
      }),
      { numRuns: 2000 },
    )
  })

  test('inside a forbidden block passes in no spelling, in a URL or from a resolver', () => {
    const forbidden = fc
      .constantFrom(...FORBIDDEN_BLOCKS.map(([block]) => block))
      .chain((block) => fc.tuple(fc.constant(block), inside(block)))
    fc.assert(
      fc.property(forbidden, ([block, value]) => {
        const isIpv4 = !block.includes(':')
        const addresses = isIpv4
          ? [split(value, 8n, 4).join('.'), `::ffff:${split(value, 8n, 4).join('.')}`]
          : ipv6Spellings(value)
        const hosts = isIpv4 ? ipv4UrlHosts(value) : ipv6Spellings(value).map((each) => `[${each}]`)
        const passed = [
          ...addresses.filter((address) => isAddressAllowed(address, PUBLIC_ONLY)),
          ...hosts.filter((host) => {
            const judgement = judgeUrl(`https://${host}/`, PUBLIC_ONLY)
            return judgement.kind === 'ok' || judgement.error !== 'address_denied'
          }),
        ]
        expect(passed).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('inside an allowed network passes, mapped into IPv6 as well, and its neighbours do not', () => {
    fc.assert(
      fc.property(octet, octet, octet, fc.integer({ min: 9, max: 32 }), (b, c, d, bits) => {
        const value = BigInt(10 * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d)
        const beyond = split(value ^ (1n << BigInt(32 - bits)), 8n, 4).join('.')
        const policy = allowing(`10.${b}.${c}.${d}/${bits}`)
        expect(isAddressAllowed(`10.${b}.${c}.${d}`, policy)).toBe(true)
        expect(isAddressAllowed(`::ffff:10.${b}.${c}.${d}`, policy)).toBe(true)
        expect(isAddressAllowed(`::10.${b}.${c}.${d}`, policy)).toBe(false)
        expect(isAddressAllowed(beyond, policy)).toBe(false)
      }),
    )
  })

  test('that is mapped is not let through by an IPv6 network around it', () => {
    expect(isAddressAllowed('::ffff:10.0.0.1', allowing('::/0'))).toBe(false)
    expect(isAddressAllowed('fd00::1', allowing('::/0'))).toBe(true)
  })

  test('has one canonical spelling', () => {
    expect(['::ffff:7f00:1', '0:0:0:0:0:FFFF:127.0.0.1', '127.0.0.1'].map(canonicalAddress)).toEqual(
      Array(3).fill('127.0.0.1'),
    )
    expect(canonicalAddress('2606:4700:0:0::ABCD')).toBe('2606:4700::abcd')
    expect(canonicalAddress('')).toBeUndefined()
  })
})

describe('a network', () => {
  test('is a CIDR block or one address', () => {
    expect(parseNetwork('10.0.0.0/8')).toMatchObject({ text: '10.0.0.0/8', prefixBits: 8 })
    expect(parseNetwork('192.168.1.7')).toMatchObject({ prefixBits: 32 })
    expect(parseNetwork('fd00::/8')).toMatchObject({ prefixBits: 8 })
    expect(parseNetwork('::1')).toMatchObject({ prefixBits: 128 })
  })

  test('of mapped addresses is the IPv4 network', () => {
    expect(isAddressAllowed('10.1.2.3', allowing('::ffff:10.0.0.0/104'))).toBe(true)
    expect(isAddressAllowed('192.168.2.3', allowing('::ffff:10.0.0.0/104'))).toBe(false)
  })

  test.for([
    '',
    '10',
    '10/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/',
    '010.0.0.0/8',
    '0x0a.0.0.0/8',
    '::/129',
    '::ffff:0:0/90',
    'fe80::1%lo',
    'example.com',
    'localhost',
    ' 10.0.0.0/8',
    '10.0.0.0/8,fd00::/8',
  ])('is not what %j says', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

describe('a URL', () => {
  test.for([
    ['https://example.com/hooks?a=1', 'https://example.com/hooks?a=1'],
    ['https://EXAMPLE.com:8443', 'https://example.com:8443/'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example/'],
    ['https://8.8.8.8/', 'https://8.8.8.8/'],
    ['https://[2606:4700::1111]/', 'https://[2606:4700::1111]/'],
    ['https://localhost/', 'https://localhost/'],
  ] as const)('may be %s', ([text, href]) => {
    expect(judgeUrl(text, PUBLIC_ONLY)).toMatchObject({ kind: 'ok', url: { href } })
  })

  test.for([
    ['', 'it is not a URL'],
    ['example.com/hooks', 'it is not a URL'],
    ['https://', 'it is not a URL'],
    ['https://1.2.3.4.5/', 'it is not a URL'],
    ['https://[fe80::1%25eth0]/', 'it is not a URL'],
    ['http://example.com/', 'its scheme is http, which is not allowed'],
    ['ftp://example.com/', 'its scheme is not https'],
    ['file:///etc/passwd', 'its scheme is not https'],
    ['https://user@example.com/', 'it carries credentials'],
    ['https://:secret@example.com/', 'it carries credentials'],
    ['https://example.com/#', 'it has a fragment'],
    ['https://example.com/a#b', 'it has a fragment'],
    ['https://example.com:0/', 'its port is 0'],
    ['https://exam\nple.com/', 'it contains blanks or control characters'],
    [' https://example.com/', 'it contains blanks or control characters'],
  ] as const)('may not be %j', ([text, reason]) => {
    expect(judgeUrl(text, PUBLIC_ONLY)).toEqual({ kind: 'denied', error: 'invalid_url', reason })
  })

  test.for(Object.entries(FORBIDDEN_HOSTS))('names an address that is not public %s', ([, hosts]) => {
    const judged = hosts.map((host) => [host, judgeUrl(`https://${host}/`, PUBLIC_ONLY)] as const)
    const passed = judged.flatMap(([host, judgement]) => {
      if (judgement.kind === 'denied') return judgement.error === 'address_denied' ? [] : [host]
      return isLocalhostName(judgement.url.hostname) ? [] : [host]
    })
    expect(passed).toEqual([])
  })

  test('is none with such a host', () => {
    const passed = IMPOSSIBLE_HOSTS.filter((host) => {
      const judgement = judgeUrl(`http://${host}/`, allowing('0.0.0.0/0', '::/0'))
      return judgement.kind === 'ok' || judgement.error !== 'invalid_url'
    })
    expect(passed).toEqual([])
  })

  test('may have a name that only looks like an address', () => {
    expect(NAMES.filter((name) => judgeUrl(`https://${name}/`, PUBLIC_ONLY).kind !== 'ok')).toEqual([])
  })

  test('may have 2048 characters and not one more', () => {
    expect(judgeUrl('https://example.com/'.padEnd(2048, 'a'), PUBLIC_ONLY).kind).toBe('ok')
    expect(judgeUrl('https://example.com/'.padEnd(2049, 'a'), PUBLIC_ONLY)).toMatchObject({
      error: 'invalid_url',
    })
  })

  test('may be http where the policy says so', () => {
    expect(judgeUrl('http://example.com/', allowing()).kind).toBe('ok')
  })

  test.for([
    'http://127.0.0.1/',
    'http://0x7f.1:8080/',
    'http://2130706433',
    'http://①②⑦.0.0.1/',
    'http://[::ffff:7f00:1]/',
  ])('names an address in whatever spelling: %s', (text) => {
    expect(judgeUrl(text, allowing())).toMatchObject({ kind: 'denied', error: 'address_denied' })
    expect(judgeUrl(text, allowing('127.0.0.0/8')).kind).toBe('ok')
  })

  test('names this host by localhost and by what ends in it, and by nothing else', () => {
    const names = ['localhost', 'LOCALHOST.', 'api.localhost', 'notlocalhost', 'localhost.example', 'local']
    expect(names.filter(isLocalhostName)).toEqual(['localhost', 'LOCALHOST.', 'api.localhost'])
  })
})
