#!/usr/bin/env node
/** The process: arguments in, exit code out, signals to an AbortSignal. The only file that touches `process`. */
import { keepHeapSmall } from './lifecycle/small-heap.ts'

const [command] = process.argv.slice(2)
// The rest ends before it matters, and would start later. Before the program is loaded: it would be loaded twice.
if (command === undefined || ['run', 'dev', 'demo'].includes(command)) keepHeapSmall(process)

const [{ runCommandLine }, { terminal }, { untilSignal }] = await Promise.all([
  import('./commands/command-line.ts'),
  import('./commands/terminal.ts'),
  import('./lifecycle/shutdown.ts'),
])

const unread = new AbortController()
process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  terminal: terminal(process.stdout, process.stderr, () => unread.abort()),
  input: () => process.stdin,
  stopped: () => AbortSignal.any([untilSignal(process, () => process.exit(1)), unread.signal]),
  // In the checkout, where the Node on the PATH may be too old for it, npx finds the one that npm installed.
  programName: import.meta.filename.endsWith('.ts') ? 'npx node src/main.ts' : 'walhook',
})

// All that is ours is closed by now. pg leaves the socket open where it gives a login up by itself: nobody waits for that.
setTimeout(() => process.exit(), 1_000).unref()
