/** /v1/live: hints of what happens here, as server-sent events. Who reads too slowly is dropped, and comes again by itself. */
import type { ServerResponse } from 'node:http'
import { z } from 'zod'
import { visibleJson } from '../core/untrusted-text.ts'
import type { Hint, LiveHints } from '../live-hints.ts'
import type { ApiApp } from './app.ts'
import { Problem } from './problem.ts'
import { whoAsks } from './rate-limits.ts'

/** Proxies close what is silent for a minute. */
const HEARTBEAT_MS = 15_000
/** Then it has to show its key again: one that was revoked gets no further. */
const LONGEST_MS = 300_000
const COME_AGAIN_MS = 2_000
const MOST_STREAMS = 200
/** Of one key, so that it leaves room for others. */
const MOST_STREAMS_OF_ONE = 40
/** What may wait for a reader; hints are small, so this is minutes of them. */
const MOST_UNREAD_BYTES = 64 * 1024

export function addLiveRoutes(app: ApiApp, { hints }: { readonly hints: LiveHints }): void {
  const open = new Map<string, number>()
  app.get(
    '/v1/live',
    {
      // A stream without its body would be one that nobody closes.
      exposeHeadRoute: false,
      config: { scope: 'read' },
      schema: {
        operationId: 'watchLive',
        tags: ['live'],
        summary: 'Watch what happens',
        description:
          'Server-sent events. Each is a hint that something is worth asking for again, as JSON: `{"kind":"delivery","subscription_id":"…"}` (null: of many, and always with the key of a tenant), `{"kind":"subscription","subscription_id":"…"}`, `{"kind":"slot"}` or `{"kind":"stats"}`. It tells of what the answering process does: with several replicas, ask again now and then all the same. The stream ends after five minutes; an EventSource comes again by itself.',
        response: { 200: { content: { 'text/event-stream': { schema: z.string() } } } },
      },
    },
    (request, reply) => {
      const who = whoAsks(request)
      const already = open.get(who) ?? 0
      if (hints.watchers >= MOST_STREAMS || already >= MOST_STREAMS_OF_ONE)
        throw new Problem('too_many_requests', 'Too many streams are open here.', {
          headers: { 'retry-after': '5' },
        })
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value)
      reply.hijack()
      open.set(who, already + 1)
      reply.raw.once('close', () => {
        const left = (open.get(who) ?? 1) - 1
        if (left > 0) open.set(who, left)
        else open.delete(who)
      })
      streamHints(reply.raw, (tell) => hints.watch({ tenant: request.principal.tenant, tell }))
    },
  )
}

/** Until the client goes, or has to come again. */
export function streamHints(
  response: ServerResponse,
  watch: (tell: (hints: readonly Hint[]) => void) => () => void,
): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const write = (text: string): void => {
    response.write(text)
    if (response.writableLength > MOST_UNREAD_BYTES) response.destroy()
  }
  write(`retry: ${COME_AGAIN_MS}\n\n`)
  const unwatch = watch((hints) => write(hints.map((hint) => `data: ${visibleJson(hint)}\n\n`).join('')))
  const heartbeat = setInterval(() => write(': still here\n\n'), HEARTBEAT_MS)
  const end = setTimeout(() => response.end(), LONGEST_MS)
  response.once('close', () => {
    unwatch()
    clearInterval(heartbeat)
    clearTimeout(end)
  })
}
