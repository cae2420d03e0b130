/** Whether a webhook is what it says, judged by an implementation that is not ours: npm `standardwebhooks`. */
import { Webhook } from 'standardwebhooks'
import { errorMessage } from '../lifecycle/errors.ts'
import type { ReceivedWebhook } from './webhook-server.ts'

export type Verdict =
  | { readonly kind: 'verified' }
  /** There was no secret to check it with. */
  | { readonly kind: 'unchecked' }
  | { readonly kind: 'refused'; readonly reason: string }

export type SignatureCheck = (webhook: Pick<ReceivedWebhook, 'headers' | 'body'>) => Verdict

/** A webhook is verified when one of the secrets verifies it. */
export function signatureCheck(secrets: readonly string[]): SignatureCheck {
  const verifiers = secrets.map((secret) => new Webhook(secret))
  return ({ headers, body }) => {
    let verdict: Verdict = { kind: 'unchecked' }
    for (const verifier of verifiers) {
      verdict = verify(verifier, headers, body)
      if (verdict.kind === 'verified') return verdict
    }
    return verdict
  }
}

function verify(verifier: Webhook, headers: ReceivedWebhook['headers'], body: Buffer): Verdict {
  try {
    verifier.verify(body, headers, { jsonParse: false })
    return { kind: 'verified' }
  } catch (error) {
    // Whatever it throws, it did not verify.
    return { kind: 'refused', reason: errorMessage(error) }
  }
}
