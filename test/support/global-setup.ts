/**
 * Starts the tests' Postgres once a run, whatever the number of projects that need it, and migrates the template
 * database that every test clones.
 */
import type { TestProject } from 'vitest/node'
import { type Ground, layGround, type ProvidedPostgres } from './ground.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly postgres: ProvidedPostgres
  }
}

/** Each project loads this module anew, in one process: what they share hangs on the process. */
const shared = globalThis as typeof globalThis & {
  walhookTestGround?: { ground: Promise<Ground>; users: number }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const entry = (shared.walhookTestGround ??= { ground: layGround(process.env), users: 0 })
  entry.users++
  project.provide('postgres', (await entry.ground).provided)
  return async () => {
    if (--entry.users > 0) return
    delete shared.walhookTestGround
    await (await entry.ground)[Symbol.asyncDispose]()
  }
}
