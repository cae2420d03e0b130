/**
 * The proxy that all webhooks go through, as the operator wrote it down. Invariant: `authorization` alone holds what is
 * secret, and `proxyAddress` is the only form that is shown to anybody.
 */
export interface EgressProxy {
  readonly protocol: 'http:' | 'https:'
  /** A name or an address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** The value of `Proxy-Authorization`, where the URL has a user. */
  readonly authorization: string | undefined
}

/** `http://proxy.internal:3128`, `https://user:password@proxy.internal`; undefined when the text is no such URL. */
export function parseProxy(text: string): EgressProxy | undefined {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.pathname !== '/' || url.search !== '' || text.includes('#') || url.port === '0') return undefined
  const credentials = decoded(`${url.username}:${url.password}`)
  if (credentials === undefined) return undefined
  return {
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    authorization:
      credentials === ':' ? undefined : `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`,
  }
}

/** Where it is, and nothing about who may use it. */
export function proxyAddress({ protocol, hostname, port }: EgressProxy): string {
  return `${protocol}//${authority(hostname, port)}`
}

/** `host:port` as a request line has it: an IPv6 address in brackets. */
export function authority(hostname: string, port: number): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined // a per cent sign that is none of the URL's escapes
  }
}
