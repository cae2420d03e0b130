/** A plan for a person: what is made, changed and deleted, field by field, and no secret in it. */
import { countOf, type FieldChange, type PlannedChange } from '../../core/configuration-plan.ts'
import { excerpt, visible, visibleJson } from '../../core/untrusted-text.ts'
import type { Style, Terminal } from '../terminal.ts'

const LONGEST_VALUE = 200

const MARKS: Readonly<Record<PlannedChange['action'], readonly [mark: string, style: Style]>> = {
  create: ['+', 'green'],
  change: ['~', 'yellow'],
  delete: ['-', 'red'],
  unchanged: [' ', 'dim'],
}

export function printPlan(terminal: Terminal, plan: readonly PlannedChange[]): void {
  for (const change of plan) {
    const { action, fields, notes } = change
    if (action !== 'unchanged') {
      const [mark, style] = MARKS[action]
      terminal.print(terminal.paint(style, `${mark} ${titleOf(change)}`))
      for (const field of fields) terminal.print(`    ${field.field}: ${valuesOf(field, action)}`)
    }
    for (const note of notes)
      terminal.note(`${terminal.paintNote('yellow', 'careful:')} ${titleOf(change)}: ${note}`)
  }
  terminal.print(
    `${countOf(plan, 'create')} to create, ${countOf(plan, 'change')} to change, ${countOf(plan, 'delete')} to delete, ` +
      `${countOf(plan, 'unchanged')} unchanged`,
  )
}

export function titleOf({ kind, name, tenant }: Pick<PlannedChange, 'kind' | 'name' | 'tenant'>): string {
  const of = tenant === null ? '' : ` of tenant ${visible(tenant)}`
  return `${kind === 'subscription' ? 'subscription' : 'event type'} ${visible(name)}${of}`
}

function valuesOf({ before, after, isHidden }: FieldChange, action: PlannedChange['action']): string {
  if (isHidden) return action === 'create' ? '(not shown)' : 'another one (not shown)'
  return action === 'create' ? valueOf(after) : `${valueOf(before)} → ${valueOf(after)}`
}

function valueOf(value: unknown): string {
  if (value === null || value === undefined) return 'none'
  if (Array.isArray(value) && value.every((item) => typeof item === 'string'))
    return excerpt(value.length === 0 ? 'none' : visible(value.join(', ')), LONGEST_VALUE)
  return excerpt(typeof value === 'string' ? visible(value) : visibleJson(value), LONGEST_VALUE)
}
