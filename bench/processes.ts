/** The processes of a benchmark: started, spoken with, ended by their own handles. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Receiver extends AsyncDisposable {
  readonly url: string
  ask<Answer>(question: 'count' | 'report'): Promise<Answer>
}

export async function startReceiver(): Promise<Receiver> {
  const child = fork(new URL('receiver.ts', import.meta.url))
  const [address] = (await once(child, 'message')) as [{ port: number }]
  return {
    url: `http://127.0.0.1:${address.port}/`,
    async ask<Answer>(question: 'count' | 'report'): Promise<Answer> {
      child.send(question)
      const [answer] = (await once(child, 'message')) as [Answer]
      return answer
    },
    [Symbol.asyncDispose]: () => end(child, 'SIGKILL'),
  }
}

/** Posts `count` signed requests; resolves to requests a second. */
export async function runCeiling(
  url: string,
  count: number,
  concurrency: number,
  payload: string,
): Promise<number> {
  const child = fork(new URL('ceiling.ts', import.meta.url), [
    url,
    String(count),
    String(concurrency),
    payload,
  ])
  const [answer] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`the ceiling's process ended with ${code}`)),
    ),
  ])) as [{ perSecond: number }]
  await end(child, 'SIGTERM')
  return answer.perSecond
}

export interface SidecarProcess extends AsyncDisposable {
  /** User and system CPU seconds and resident MiB, from /proc; undefined elsewhere. */
  usage(): { readonly cpuSeconds: number; readonly rssMiB: number } | undefined
}

/** Walhook as its users run it. Resolves when it streams. */
export async function startWalhook(
  environment: Record<string, string>,
  readUsage: (pid: number) => ReturnType<SidecarProcess['usage']>,
): Promise<SidecarProcess> {
  const child = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname, 'run'], {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.stdout.on('data', (chunk: Buffer) => chunk.includes('relay.streaming') && resolve())
  child.on('exit', (code) => reject(new Error(`walhook ended with ${code}`)))
  await promise
  return {
    usage: () => (child.pid === undefined ? undefined : readUsage(child.pid)),
    [Symbol.asyncDispose]: () => end(child, 'SIGTERM'),
  }
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}
