/** `walhook run`: the sidecar, until a signal. */
import type { Command } from 'commander'
import { describeSettings, parseConfig } from '../config.ts'
import { type CommandContext, untilAborted } from './command.ts'
import { loadSidecar } from './load-sidecar.ts'

export function addRun(walhook: Command, context: CommandContext): void {
  walhook
    .command('run', { isDefault: true })
    .description('Relay and deliver until a signal (the default).')
    .addHelpText('after', () => `\n${settingsHelp()}`)
    .allowExcessArguments()
    .action(async (_options, command: Command) => {
      // Commander takes a word that it does not know for an argument of the default command.
      const [word] = command.args
      if (word !== undefined) command.error(`error: unknown command '${word}'`)
      await run(context)
    })
}

/** Resolves when it has stopped; rejects with what only a person can mend. */
async function run(context: CommandContext): Promise<void> {
  const config = parseConfig(context.environment)
  const stopped = context.stopped()
  const { startSidecar, createLogger } = await loadSidecar()
  try {
    await using sidecar = await startSidecar(config, createLogger(config.logLevel), stopped)
    await Promise.race([untilAborted(stopped), sidecar.ended])
  } catch (error) {
    // Stopped before it had started, which is what was asked for.
    if (error !== stopped.reason) throw error
  }
}

function settingsHelp(): string {
  const settings = describeSettings()
  const nameWidth = Math.max(...settings.map(({ name }) => name.length))
  const lines = settings.map(({ name, meaning, defaultText, isRequired }) => {
    const otherwise = isRequired
      ? ' (required)'
      : defaultText === undefined
        ? ''
        : ` (default: ${defaultText})`
    return `  ${name.padEnd(nameWidth)}  ${meaning}${otherwise}`
  })
  return ['Environment (durations are written 500ms, 5s, 10m, 2h or 5d):', ...lines].join('\n')
}
