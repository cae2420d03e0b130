/**
 * A delivery as a curl line, for whoever wants to see what its endpoint makes of it. It says what the next attempt would, but for
 * what is secret: no signature, no credentials, and own headers whose names sound like a secret have their values left out.
 */
import { curlLine } from './core/curl-line.ts'
import { requestForm } from './core/request-form.ts'
import { webhookRequest } from './core/webhook-request.ts'
import type { DeliveryRequest } from './store/delivery-request.ts'
import { VERSION } from './version.ts'

/** Undefined where there is nothing to send any more. `now` is in unix milliseconds. */
export function deliveryAsCurl(
  { attempts, url, options, event }: DeliveryRequest,
  now: number,
): string | undefined {
  if (event === undefined) return undefined
  const request = webhookRequest(
    event,
    { request: requestForm(options), signers: [] },
    { attempt: attempts + 1, timestamp: Math.floor(now / 1000), userAgent: `walhook/${VERSION}` },
  )
  return curlLine({ ...request, url: shownUrl(url) })
}

/** Spelt as it is called; a user in it is never sent. */
function shownUrl(text: string): string {
  if (!URL.canParse(text)) return text
  const url = new URL(text)
  url.username = ''
  url.password = ''
  url.hash = ''
  return url.href
}
