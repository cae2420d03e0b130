/** ETag and If-Match: a change that was made with an older state in mind is refused, where the client says which one. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from './problem.ts'

const TAG_LENGTH = 22

/** Of what tells one state from the next: `updated_at`, a version. */
export function entityTag(...versions: readonly (string | number | null)[]): string {
  const digest = createHash('sha256').update(versions.join('\n')).digest('base64url')
  return `"${digest.slice(0, TAG_LENGTH)}"`
}

export function sendEntityTag(reply: FastifyReply, tag: string): void {
  reply.header('etag', tag)
}

/** Whether the client sent an If-Match at all: then the row has to be locked while it is compared. */
export function requireMatch(request: FastifyRequest, tag: string | undefined): void {
  const wanted = request.headers['if-match']
  if (wanted === undefined) return
  const tags = wanted.split(',').map((each) => each.trim())
  if (tag !== undefined && (tags.includes('*') || tags.includes(tag))) return
  throw new Problem(
    'precondition_failed',
    'It is not in the state that If-Match names. Read it again, and decide anew.',
  )
}
