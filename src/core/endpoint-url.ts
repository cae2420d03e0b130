/** What can be told of an endpoint's URL before it is ever called. Whether it is called, the sidecar decides then. */
import { type AddressPolicy, judgeUrl, parseNetwork } from './address-policy.ts'

/** Everything is allowed: what is refused even so can never be called. */
export const ANYWHERE: AddressPolicy = {
  allowHttp: true,
  allowNetworks: ['0.0.0.0/0', '::/0'].flatMap((text) => parseNetwork(text) ?? []),
}

/** The rule that a URL breaks which nobody can call, for a sentence that begins with `url`; undefined where it breaks none. */
export function urlFault(url: string): string | undefined {
  const judgement = judgeUrl(url, ANYWHERE)
  return judgement.kind === 'denied'
    ? `has to be an http or https URL that can be called: ${judgement.reason}`
    : undefined
}
