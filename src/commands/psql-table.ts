/** Rows as psql prints them: what an operator sees here is what the same view shows there. */
import Table from 'cli-table3'
import { visible } from '../core/untrusted-text.ts'

export type Cell = string | number | bigint | boolean | null | undefined
export type Row = Readonly<Record<string, Cell>>

/** Colours a cell's text, given the column and the row; the widths do not count it. */
export type PaintCell = (text: string, column: string, row: Row) => string

const PSQL_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  right: '',
  'right-mid': '',
  mid: '',
  'mid-mid': '',
  middle: '|',
}

const plain: PaintCell = (text) => text

/** A head, a rule, aligned columns (numbers to the right) and the number of rows. */
export function psqlTable(
  columns: readonly string[],
  rows: readonly Row[],
  paintCell: PaintCell = plain,
): string {
  const table = new Table({
    chars: PSQL_LINES,
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1 },
  })
  table.push(columns.map((content) => ({ content, hAlign: 'center' as const })))
  for (const row of rows)
    table.push(
      columns.map((column) => ({
        content: paintCell(cellText(row[column]), column, row),
        hAlign: isNumber(row[column]) ? ('right' as const) : ('left' as const),
      })),
    )
  const [head = '', ...body] = table.toString().split('\n')
  const rule = head.replace(/[^|]/g, '-').replaceAll('|', '+')
  const count = `(${rows.length} row${rows.length === 1 ? '' : 's'})`
  return [head.trimEnd(), rule, ...body.map((line) => line.trimEnd()), count].join('\n')
}

/** One row, a line a column, as psql's `\x` prints it. */
export function psqlRecord(row: Row, paintCell: PaintCell = plain): string {
  const width = Math.max(...Object.keys(row).map((column) => column.length))
  return Object.entries(row)
    .map(([column, cell]) => `${column.padEnd(width)} | ${paintCell(cellText(cell), column, row)}`.trimEnd())
    .join('\n')
}

function cellText(cell: Cell): string {
  return cell === null || cell === undefined ? '' : visible(String(cell))
}

function isNumber(cell: Cell): boolean {
  return typeof cell === 'number' || typeof cell === 'bigint'
}
