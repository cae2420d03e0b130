/**
 * The sidecar as a process of its own, for what only a process can do: die, be stopped, be frozen, exit with a code.
 *
 * It sees the environment given here and nothing of the test run's own settings.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { orTimeout } from './eventually.ts'
import { confideEnvironment, watchOutput } from './leak-watch.ts'
import { LogLines } from './log-lines.ts'
import { COMPILED_ONCE, MAIN } from './program.ts'

export interface SidecarExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class SidecarProcess implements AsyncDisposable {
  /** Standard output, line by line. */
  readonly logs: LogLines
  readonly exited: Promise<SidecarExit>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  private constructor(child: ChildProcess, keepLines: number) {
    this.#child = child
    this.logs = new LogLines(keepLines)
    let partial = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (keepLines === Infinity) this.#stdout += text
      const lines = (partial + text).split('\n')
      partial = lines.pop() ?? ''
      this.logs.write(lines.join('\n'))
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text))
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.logs.write(partial)
        resolve({ code, signal })
      })
    })
    // Whoever waits for something else learns of it there.
    this.exited.catch(() => undefined)
  }

  /** Runs `walhook <args>` (default `run`). Does not wait for anything. Keeps its output, or of its log the last lines. */
  static spawn(
    env: Readonly<Record<string, string>>,
    args: readonly string[] = ['run'],
    keepLines = Infinity,
  ): SidecarProcess {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...environmentOfOthers(), ...COMPILED_ONCE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const spawned = new SidecarProcess(child, keepLines)
    confideEnvironment(env)
    watchOutput(`standard error of walhook ${args[0]}`, () => spawned.stderr)
    // What listen and dev print is meant for whoever runs them: webhooks, and how to connect.
    if (!['listen', 'dev'].includes(args[0] ?? ''))
      watchOutput(`standard output of walhook ${args[0]}`, () =>
        keepLines === Infinity ? spawned.stdout : spawned.logs.tail(keepLines),
      )
    return spawned
  }

  /** Runs the sidecar and resolves once it has logged `sidecar.started`. */
  static async start(env: Readonly<Record<string, string>>, keepLines?: number): Promise<SidecarProcess> {
    const sidecar = SidecarProcess.spawn(env, ['run'], keepLines)
    try {
      await sidecar.waitForLog('sidecar.started')
      return sidecar
    } catch (error) {
      await sidecar[Symbol.asyncDispose]()
      throw error
    }
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the sidecar was never run')
    return this.#child.pid
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** As it was printed: for commands, whose output is not a log. */
  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Rejects at once where the process ends first. */
  async waitForLog(msg: string, withinMs = 20_000): Promise<void> {
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`the sidecar ended (${signal ?? code}) before it logged ${msg}:\n${this.output()}`)
    })
    await Promise.race([this.logs.waitFor(msg, undefined, withinMs), ended])
  }

  /** Sends the signal and, unless it only freezes or thaws, waits for the end. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    this.#child.kill(signal)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.exit()
  }

  /** How it ended. Rejects with its output where it does not within `withinMs`. */
  async exit(withinMs = 30_000): Promise<SidecarExit> {
    const ending = await orTimeout(this.exited, withinMs)
    if (ending === 'timeout')
      throw new Error(`the sidecar did not end within ${withinMs} ms:\n${this.output()}`)
    return ending
  }

  output(): string {
    return `${this.logs.tail()}\n${this.#stderr}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited.catch(() => undefined)
  }
}

/** Without our settings, which would be unknown ones there, and without what the test runner sets for its workers. */
function environmentOfOthers(): NodeJS.ProcessEnv {
  const ours = /^(WALHOOK_|VITEST|DATABASE_URL$|NODE_ENV$|NODE_OPTIONS$|TEST$|PG[A-Z]+$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}
