/** Whether a secret that a file gives is the one that is there, without showing either. */
import { isSameJson } from '../../core/configuration-plan.ts'
import type { KeyRing } from '../../core/key-ring.ts'
import { readSecret, type StoredSecret } from '../../core/signing-secret.ts'

/** `unreadable`: it is sealed, and the key is not at hand. */
export type SecretComparison = 'same' | 'another' | 'unreadable'

/** `wanted` is a text, or for credentials and certificates an object too; null asks for none. */
export function compareSecret(
  ring: KeyRing,
  { id, column, text }: Omit<StoredSecret, 'text'> & { readonly text: string | null },
  wanted: unknown,
): SecretComparison {
  if (text === null || wanted === null) return text === wanted ? 'same' : 'another'
  const read = readSecret(ring, { id, column, text })
  if (read.kind === 'key_unknown' || read.kind === 'not_authentic') return 'unreadable'
  return isSameJson(valueOf(read.plain), typeof wanted === 'string' ? valueOf(wanted) : wanted)
    ? 'same'
    : 'another'
}

/** Of JSON what it says, of any other text the text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}
