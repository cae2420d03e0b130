/** The dashboard and the alerts: every metric is one that there is, and every alert leads to what to do about it. */
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

const ROOT = path.join(import.meta.dirname, '..', '..')
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')
const OPERATIONS = read('docs/operations.md')

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

const { groups } = parse(read('docs/grafana/alerts.yaml')) as {
  groups: readonly { readonly rules: readonly Alert[] }[]
}
const ALERTS = groups.flatMap(({ rules }) => rules)

const dashboard = JSON.parse(read('docs/grafana/walhook.json')) as {
  panels: readonly { title: string; targets?: readonly { expr: string }[] }[]
}
const QUERIES = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
)

/** Names as the sources declare them; what a histogram is made of bears a suffix. */
const METRICS = new Set(
  globSync('src/telemetry/*.ts', { cwd: ROOT }).flatMap((file) =>
    [...read(file).matchAll(/'(walhook_[a-z_]+)'/g)].map(([, name]) => name),
  ),
)
const unknown = (expr: string): string[] =>
  [...expr.matchAll(/\bwalhook_[a-z_]+/g)].flatMap(([name]) =>
    METRICS.has(name) || METRICS.has(name.replace(/_(?:bucket|sum|count)$/, '')) ? [] : [name],
  )

test('there are some', () => {
  expect(ALERTS.length).toBeGreaterThan(10)
  expect(QUERIES.length).toBeGreaterThan(25)
})

test.each(QUERIES)('the panel %s asks for metrics that there are: %s', (_title, expr) => {
  expect(unknown(expr)).toEqual([])
})

describe.each(ALERTS.map((alert) => [alert.alert, alert] as const))(
  '%s',
  (name, { expr, annotations, labels }) => {
    test('looks at metrics that there are', () => {
      expect(expr).toMatch(/\bwalhook_[a-z_]+/)
      expect(unknown(expr)).toEqual([])
      expect(labels.severity).toMatch(/^(critical|warning)$/)
    })

    test('has a line in the runbook, and leads to it', () => {
      expect(annotations.runbook).toBe(`docs/operations.md#${name.toLowerCase()}`)
      expect(OPERATIONS.split('\n')).toContainEqual(
        expect.stringMatching(new RegExp(`^\\| <a id="${name.toLowerCase()}"></a>\`${name}\` \\|`)),
      )
    })
  },
)

test('the runbook has no alert that is none', () => {
  const named = [...OPERATIONS.matchAll(/<a id="(walhook[a-z]+)">/g)].map(([, id]) => id)
  expect(new Set(named)).toEqual(new Set(ALERTS.map(({ alert }) => alert.toLowerCase())))
})
