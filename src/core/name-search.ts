/**
 * What the files of a host say about names: /etc/hosts, and /etc/resolv.conf's search list. Invariant: a name is looked
 * for in the order in which the C library would, so that a short name means here what it means to the host's programs.
 */
export interface NameSearch {
  readonly domains: readonly string[]
  /** A name with at least so many dots is taken as it is first, and looked for below the domains after that. */
  readonly ndots: number
}

/** The addresses that hosts(5) gives a name, in the order of the file; none when it does not have the name. */
export function addressesInHosts(hosts: string, hostname: string): readonly string[] {
  const wanted = bare(hostname)
  return hosts.split('\n').flatMap((line) => {
    const [address = '', ...names] = words(line)
    return names.some((name) => bare(name) === wanted) ? [address] : []
  })
}

/** The last `search` or `domain` line wins, as resolv.conf(5) has it. */
export function parseNameSearch(resolvConf: string): NameSearch {
  let domains: readonly string[] = []
  let ndots = 1
  for (const line of resolvConf.split('\n')) {
    const [keyword, ...values] = words(line)
    if (keyword === 'search' || keyword === 'domain')
      domains = values.map(bare).filter((domain) => domain !== '')
    if (keyword !== 'options') continue
    for (const value of values) {
      const digits = /^ndots:(\d{1,3})$/.exec(value)?.[1]
      if (digits !== undefined) ndots = Math.min(Number(digits), 15)
    }
  }
  return { domains, ndots }
}

/** The full names to ask for, in order. A name that ends in a dot is full already. */
export function searchedNames(hostname: string, { domains, ndots }: NameSearch): readonly string[] {
  const name = bare(hostname)
  if (hostname.endsWith('.')) return [name]
  const below = domains.map((domain) => `${name}.${domain}`)
  return name.split('.').length - 1 >= ndots ? [name, ...below] : [...below, name]
}

function words(line: string): string[] {
  return line
    .replace(/[#;].*$/, '')
    .split(/\s+/)
    .filter((word) => word !== '')
}

function bare(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
