/** What a run found, as it is written to a file and read again. */
import { readFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { z } from 'zod'

// What the machine does not show is not a number, which JSON has as null.
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? NaN)

const measurement = z.object({
  label: z.string(),
  seconds: number,
  deliveries: number,
  cpuMs: z.object({
    postgres: number,
    walhook: number,
    application: number,
    receiver: number,
    bench: number,
  }),
  walBytes: number,
  walhookPeakMiB: number,
  postgresPrivateMiB: number,
  samples: z.array(z.object({ second: number, received: number, walhookMiB: number })).readonly(),
  latencies: z.array(z.object({ second: number, p50: number, p99: number })).readonly(),
})

const scenarioResult = z.object({
  name: z.string(),
  /** By round, by figure. */
  rounds: z.array(z.record(z.string(), number)),
  /** By round. */
  measurements: z.array(z.array(measurement)),
  /** Why there is no figure. */
  noFigure: z.string().optional(),
})

export const results = z.object({
  startedAt: z.string(),
  command: z.string(),
  machine: z.object({ cores: z.number(), model: z.string(), memoryGiB: z.number(), node: z.string() }),
  postgres: z.object({ version: z.string(), description: z.string(), plugins: z.array(z.string()) }),
  plugin: z.string(),
  scale: z.number(),
  besideOthers: z.boolean(),
  scenarios: z.array(scenarioResult),
})

export type Results = z.output<typeof results>
export type ScenarioResult = z.output<typeof scenarioResult>

/** Of a file that a run wrote. */
export async function readResults(file: string | URL): Promise<Results> {
  return results.parse(JSON.parse(await readFile(file, 'utf8')))
}

export function thisMachine(): Results['machine'] {
  const [first] = cpus()
  return {
    cores: cpus().length,
    model: first?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  }
}
