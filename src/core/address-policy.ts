/**
 * Which addresses a webhook may be sent to: public unicast ones, and those inside a network that the operator named.
 * Invariant: what cannot be read as an address is not allowed, and an IPv4-mapped IPv6 address is judged as the IPv4
 * address that the connection would go to. A network that the operator names opens that form along with it, and none of
 * the others that carry an IPv4 address in an IPv6 one: those are opened by naming their own network.
 */
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** A network named by the operator. `text` is as it was written, for the start-up line. */
export interface AllowedNetwork {
  readonly text: string
  readonly base: Address
  readonly prefixBits: number
}

export interface AddressPolicy {
  readonly allowHttp: boolean
  readonly allowNetworks: readonly AllowedNetwork[]
}

export type UrlJudgement =
  | { readonly kind: 'ok'; readonly url: URL }
  | { readonly kind: 'denied'; readonly error: 'invalid_url' | 'address_denied'; readonly reason: string }

const MAX_URL_LENGTH = 2048
const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::')
/** Looks public, and is Azure's host to its guests: it hands out their secrets, as 169.254.169.254 does elsewhere. */
const AZURE_HOST = '168.63.129.16'

/** A CIDR block (`10.0.0.0/8`, `fd00::/8`) or one address; undefined when the text is neither. */
export function parseNetwork(text: string): AllowedNetwork | undefined {
  const match = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text)
  const base = parseAddress(match?.[1] ?? '')
  if (match === null || base === undefined) return undefined
  const wholeBits = base.kind() === 'ipv4' ? 32 : 128
  const prefixBits = match[2] === undefined ? wholeBits : Number(match[2])
  if (prefixBits > wholeBits) return undefined
  if (base.kind() === 'ipv4' || !isMapped(base)) return { text, base, prefixBits }
  // A block around the mapped addresses, such as ::ffff:0:0/90, has no IPv4 network to stand for.
  return prefixBits < 96 ? undefined : { text, base: unmap(base), prefixBits: prefixBits - 96 }
}

/** Whether a connection may go to `address`, in any spelling that the operating system or a URL gives. */
export function isAddressAllowed(address: string, policy: AddressPolicy): boolean {
  const parsed = parseAddress(address)
  if (parsed === undefined) return false
  const judged = unmap(parsed)
  return isPublic(judged) || policy.allowNetworks.some((network) => contains(network, judged))
}

/** One spelling per address, so that two can be compared; an IPv4-mapped one becomes its IPv4 address. */
export function canonicalAddress(address: string): string | undefined {
  const parsed = parseAddress(address)
  return parsed === undefined ? undefined : unmap(parsed).toString()
}

/**
 * Whether the URL can be called, as far as its text tells. A literal address is judged here; a name is judged by
 * what it resolves to, whenever a connection is opened. `reason` completes a sentence and repeats nothing secret.
 */
export function judgeUrl(text: string, policy: AddressPolicy): UrlJudgement {
  if (text.length > MAX_URL_LENGTH) return invalid(`it is longer than ${MAX_URL_LENGTH} characters`)
  // The URL parser silently removes line breaks and outer blanks; what is stored is what should be called.
  if (/[\p{Cc}\s]/u.test(text)) return invalid('it contains blanks or control characters')
  const url = URL.parse(text)
  if (url === null) return invalid('it is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return invalid('its scheme is not https')
  if (url.protocol === 'http:' && !policy.allowHttp)
    return invalid('its scheme is http, which is not allowed')
  if (url.username !== '' || url.password !== '') return invalid('it carries credentials')
  if (text.includes('#')) return invalid('it has a fragment')
  if (url.port === '0') return invalid('its port is 0')
  const literal = literalAddress(url.hostname)
  if (literal !== undefined && !isAddressAllowed(literal, policy)) {
    return {
      kind: 'denied',
      error: 'address_denied',
      reason: `${literal} is not a public address, and no allowed network contains it`,
    }
  }
  return { kind: 'ok', url }
}

/** `localhost` and the names below it: the loopback addresses by definition (RFC 6761 §6.3), whatever DNS says. */
export function isLocalhostName(hostname: string): boolean {
  return /(?:^|\.)localhost\.?$/i.test(hostname)
}

/** What a localhost name stands for: the operator allows one family or both; what the hosts file has must not decide. */
export function allowedLoopback(policy: AddressPolicy): readonly string[] {
  return ['127.0.0.1', '::1'].filter((address) => isAddressAllowed(address, policy))
}

/** The address, when a URL's host is one: the URL parser has turned 0x7f.1, 2130706433 and the like into dotted form. */
function literalAddress(hostname: string): string | undefined {
  if (hostname.startsWith('[')) return hostname.slice(1, -1)
  return ipaddr.IPv4.isValidFourPartDecimal(hostname) ? hostname : undefined
}

/**
 * Strict where ipaddr.js is generous: it also reads octal, hexadecimal and shortened IPv4, and takes the
 * IPv4-compatible `::8.8.8.8` for the IPv4-mapped `::ffff:8.8.8.8`, which the operating system does not.
 */
function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  const hexadecimal = text.replace(/(?<=:)[^:%]*\.[^:%]*(?=$|%)/, (dotted) => {
    if (!ipaddr.IPv4.isValidFourPartDecimal(dotted)) return 'not an address'
    const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(dotted).octets
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  return ipaddr.IPv6.isValid(hexadecimal) ? ipaddr.IPv6.parse(hexadecimal) : undefined
}

/**
 * ipaddr.js knows the special blocks inside the space that is in use. To it the rest of IPv6 is unicast, the
 * deprecated IPv4-compatible ::/96 included; only 2000::/3 has ever been given out (RFC 4291 §2.4).
 */
function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  if (!(address instanceof ipaddr.IPv6)) return address.toString() !== AZURE_HOST
  const tunnelled = isatapTarget(address)
  return address.match(GLOBAL_UNICAST, 3) && (tunnelled === undefined || isPublic(tunnelled))
}

/** Behind any prefix, an interface identifier of ISATAP names the IPv4 host that the packet ends at (RFC 5214 §6.1). */
function isatapTarget({ parts }: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const [, , , , flags = 0, mark, high = 0, low = 0] = parts
  if ((flags & ~0x0200) !== 0 || mark !== 0x5efe) return undefined
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
}

function contains(network: AllowedNetwork, address: Address): boolean {
  return network.base.kind() === address.kind() && address.match(network.base, network.prefixBits)
}

function isMapped(address: Address): address is ipaddr.IPv6 {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()
}

function unmap(address: Address): Address {
  return isMapped(address) ? address.toIPv4Address() : address
}

function invalid(reason: string): UrlJudgement {
  return { kind: 'denied', error: 'invalid_url', reason }
}
