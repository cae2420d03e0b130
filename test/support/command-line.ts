/**
 * `walhook …` as a user's shell runs it: a process of its own, with nothing of the test run's settings around it. Where
 * a test tries many, they run in this process, with the same surroundings.
 */
import { spawn } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { runCommandLine } from '../../src/commands/command-line.ts'
import { terminal } from '../../src/commands/terminal.ts'
import { confideEnvironment, confideSecretsIn, watchOutput } from './leak-watch.ts'
import { COMPILED_ONCE, MAIN } from './program.ts'

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it to its end. `input` is what is piped in. */
export async function walhook(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | Uint8Array = '',
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...surroundings(), ...COMPILED_ONCE, ...env },
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  // A command that does not read its input may end before it is written.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return watched(args, env, { code, stdout, stderr })
}

/** The same without a process, for commands that end by themselves. */
export async function walhookHere(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = '',
): Promise<CommandResult> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const screens = [stdout, stderr] as unknown as [NodeJS.WriteStream, NodeJS.WriteStream] // as pipes are: no TTY
  const code = await runCommandLine(args, {
    environment,
    terminal: terminal(...screens, () => undefined),
    input: () => Readable.from(input === '' ? [] : [Buffer.from(input)]),
    stopped: () => new AbortController().signal,
    programName: 'walhook',
  })
  stdout.end()
  stderr.end()
  return watched(args, environment, { code, stdout: await text(stdout), stderr: await text(stderr) })
}

/** What makes a secret tells it, on its standard output, and nothing else does. */
const TELL_SECRETS = [
  'subscribe',
  'subscriptions create',
  'subscriptions rotate-secret',
  'apply',
  'api-keys create',
  'portal-link',
]

function tellsSecrets(args: readonly string[]): boolean {
  return TELL_SECRETS.some((command) => args.join(' ').startsWith(command))
}

function watched(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  result: CommandResult,
): CommandResult {
  confideEnvironment(env)
  for (const said of [...args, result.stdout]) confideSecretsIn(said)
  watchOutput(`standard error of walhook ${args[0]}`, () => result.stderr)
  if (!tellsSecrets(args)) watchOutput(`standard output of walhook ${args[0]}`, () => result.stdout)
  return result
}

/** What the command printed with `--json`. Shows what it said where it failed. */
export async function walhookJson(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | Uint8Array = '',
): Promise<unknown> {
  const { code, stdout, stderr } = await walhook([...args, '--json'], env, input)
  if (code !== 0) throw new Error(`walhook ${args.join(' ')} ended with ${code}:\n${stderr}`)
  return JSON.parse(stdout)
}

/** The same without a process. */
export async function walhookHereJson(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const { code, stdout, stderr } = await walhookHere([...args, '--json'], env)
  if (code !== 0) throw new Error(`walhook ${args.join(' ')} ended with ${code}:\n${stderr}`)
  return JSON.parse(stdout)
}

function surroundings(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(kept)
}
