/**
 * Serves the page at /ui: the files of src/dashboard/page as they are, in the checkout and in the published package alike.
 * There is nothing secret in them; what they show comes from /v1, to whoever may see it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply } from 'fastify'

/** `src/dashboard/` in the checkout, `dist/src/dashboard/` once built, which holds no page of its own. */
const PAGE_DIRECTORIES = ['page/', '../../../src/dashboard/page/']

/**
 * Everything comes from this server, and the page makes no markup out of text: a browser that knows trusted types refuses it
 * if it ever should.
 */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** What a browser is given; types and settings for the compiler stay here. */
const SERVED = /\.(?:js|css|svg)$/

export async function servePage(app: FastifyInstance): Promise<void> {
  const root = pageDirectory()
  const document = readFileSync(new URL('index.html', root))
  await app.register(fastifyStatic, {
    root: fileURLToPath(root),
    prefix: '/ui/assets/',
    index: false,
    allowedPath: (path) => SERVED.test(path),
    // Asked for again each time, and answered with 304: a new version shows at once.
    cacheControl: false,
    setHeaders: (reply) => void reply.header('cache-control', 'no-cache'),
  })
  const show = (reply: FastifyReply): FastifyReply =>
    reply
      .headers({ 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-cache' })
      .type('text/html; charset=utf-8')
      .send(document)
  app.get('/', (_request, reply) => reply.redirect('/ui/'))
  app.get('/ui', (_request, reply) => reply.redirect('/ui/'))
  // Which view an address names, the page itself knows.
  app.get('/ui/*', (_request, reply) => show(reply))
}

function pageDirectory(): URL {
  const found = PAGE_DIRECTORIES.map((path) => new URL(path, import.meta.url)).find((url) =>
    existsSync(new URL('index.html', url)),
  )
  if (found === undefined)
    throw new Error('the package is incomplete: its src/dashboard/page/ directory is missing')
  return found
}
