/** What is not there: 404, or 405 where the path is, with the methods that it has. */
import { METHODS } from 'node:http'
import type { ApiApp } from './app.ts'
import { Problem } from './problem.ts'
import { pathOf } from './request-path.ts'

export function answerWhatIsNotThere(app: ApiApp): void {
  const routes = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const route = routes.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const each of [method].flat()) route.methods.add(each)
    routes.set(url, route)
  })
  /** Where a path is spelled out, it is meant, whatever a parameter would take too. */
  const methodsAt = (path: string): ReadonlySet<string> => {
    const there = [...routes].filter(([, { pattern }]) => pattern.test(path))
    const meant = routes.has(path) ? there.filter(([url]) => !url.includes(':')) : there
    return new Set(meant.flatMap(([, { methods }]) => [...methods]))
  }
  const problemAt = (path: string, asked: string): Problem => {
    const methods = methodsAt(path)
    const allow = METHODS.filter((method) => methods.has(method)).join(', ')
    // A file that is not there has a route all the same.
    return allow === '' || methods.has(asked)
      ? new Problem('not_found', 'There is nothing at this path; /openapi.json says what there is.')
      : new Problem('method_not_allowed', `Here there is only ${allow}.`, { headers: { allow } })
  }
  // Before the body is looked at: what it is does not matter then.
  app.addHook('onRequest', async (request) => {
    const path = pathOf(request.url)
    const wasTakenForParameter = request.routeOptions.url?.includes(':') === true && routes.has(path)
    if (request.is404 || wasTakenForParameter) throw problemAt(path, request.method)
  })
  app.setNotFoundHandler((request) => {
    throw problemAt(pathOf(request.url), request.method)
  })
}

/** `/v1/keys/:id`; a star at the end takes what is left. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part === '*') return '.*'
    return part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  })
  return new RegExp(`^${parts.join('/')}$`)
}
