/**
 * What a test asks for by naming it: `test('…', async ({ db, receiver, sidecar }) => …)`.
 *
 * `db` is a database of the test's own, with a slot name of its own; everything is released when the test ends, the
 * sidecars before the database. A failed test shows its sidecars' last log lines.
 */
import { describe, inject, test as base } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { type Sidecar, startSidecar } from '../../src/sidecar.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { orTimeout } from './eventually.ts'
import { confideEnvironment, watchOutput } from './leak-watch.ts'
import { LogLines } from './log-lines.ts'
import { Receiver } from './receiver.ts'
import { type Environment, type Plugin, sidecarEnvironment } from './sidecar-environment.ts'
import { SidecarProcess } from './sidecar-process.ts'
import { TestDatabase } from './test-database.ts'

export { type Environment, type Plugin, sidecarEnvironment }

export interface RunningSidecar {
  readonly logs: LogLines
  /** Where its HTTP surface listens: `http://127.0.0.1:54321`. */
  readonly url: string
  readonly ended: Promise<void>
  stop(): Promise<void>
}

/** Well past the grace, and past what a stop allows itself for recording. */
const STOP_WITHIN_MS = 20_000

export const test = base
  .extend('plugin', (): Plugin | 'auto' => 'auto')
  .extend('db', async ({ task }, { onCleanup }) => {
    const { url, template, outlivesTheRun } = inject('postgres')
    const db = await TestDatabase.clone(url, template, task.name)
    onCleanup(async () => {
      if (!outlivesTheRun || task.result?.state !== 'fail') return db.drop()
      await db.close()
      process.stderr.write(`kept for the failed test: database ${db.slot}\n`)
    })
    return db
  })
  // eslint-disable-next-line no-empty-pattern
  .extend('receiver', async ({}, { onCleanup }) => {
    const receiver = await Receiver.start()
    onCleanup(() => receiver[Symbol.asyncDispose]())
    return receiver
  })
  /** `await sidecar()` starts one in this process; the argument's settings win over `sidecarEnvironment`. */
  .extend('sidecar', async ({ db, plugin, onTestFailed }, { onCleanup }) => {
    const running = new AsyncDisposableStack()
    onCleanup(() => running.disposeAsync())
    return async (env: Environment = {}): Promise<RunningSidecar> => {
      const settings = { ...sidecarEnvironment(db, plugin), ...env }
      confideEnvironment(settings)
      const config = parseConfig(settings)
      const logs = new LogLines()
      watchOutput("a sidecar's log", () => logs.text())
      onTestFailed(() => void process.stderr.write(`the sidecar's last lines:\n${logs.tail()}\n`))
      const sidecar: Sidecar = await startSidecar(config, createLogger(config.logLevel, logs))
      running.defer(async () => {
        if ((await orTimeout(sidecar.stop(), STOP_WITHIN_MS)) === 'timeout')
          throw new Error(
            `the sidecar did not stop within ${STOP_WITHIN_MS} ms. Its last lines:\n${logs.tail()}`,
          )
      })
      return { logs, url: sidecar.address, ended: sidecar.ended, stop: () => sidecar.stop() }
    }
  })
  /** The same in a process of its own. */
  .extend('sidecarProcess', async ({ db, plugin, onTestFailed }, { onCleanup }) => {
    const running = new AsyncDisposableStack()
    onCleanup(() => running.disposeAsync())
    return async (env: Environment = {}): Promise<SidecarProcess> => {
      const sidecar = await SidecarProcess.start({ ...sidecarEnvironment(db, plugin), ...env })
      onTestFailed(() => void process.stderr.write(`the sidecar's last lines:\n${sidecar.output()}\n`))
      return running.use(sidecar)
    }
  })

/**
 * Runs a suite over both plugins: the sidecars of the tests within use `plugin`. Where the server has no wal2json, its
 * suite is skipped, and says so.
 */
export function eachPlugin(suite: (plugin: Plugin) => void): void {
  const { plugins } = inject('postgres')
  for (const plugin of ['wal2json', 'pgoutput'] as const) {
    const offered = plugins.includes(plugin)
    const title = offered ? `over ${plugin}` : `not run: ${plugin} (server has only ${plugins.join(', ')})`
    describe.skipIf(!offered)(`${title}`, () => {
      test.override('plugin', plugin)
      suite(plugin)
    })
  }
}
