/** Walhook, as its users run it: a process of its own, spoken with over nothing but its log, its port and Postgres. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname

export class Sidecar implements AsyncDisposable {
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  /** Resolves when it streams; or, where another does, when it stands by to deliver. */
  static async start(environment: Readonly<Record<string, string>>): Promise<Sidecar> {
    const child = spawn(process.execPath, [MAIN, 'run'], {
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ready = Promise.withResolvers<void>()
    const listen = (chunk: Buffer): void => {
      if (chunk.includes('relay.streaming') || chunk.includes('relay.standby')) ready.resolve()
    }
    child.stdout.on('data', listen)
    child.on('exit', (code) => ready.reject(new Error(`walhook ended with ${code} before it was ready`)))
    await ready.promise
    // What it logs is read as whoever collects logs reads it, and no more is done with it.
    child.stdout.off('data', listen).resume()
    return new Sidecar(child)
  }

  get pid(): number {
    return this.#process.pid ?? -1
  }

  /** As an operator stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await exited
  }
}
