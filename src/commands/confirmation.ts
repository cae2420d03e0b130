/** Asks before what cannot be taken back is done. No transaction is open meanwhile, and a signal ends the program as it always does. */
import { WalhookError } from '../lifecycle/errors.ts'
import type { CommandContext } from './command.ts'
import { invalidInput } from './refusal.ts'

/** No answer is longer. */
const LONGEST_ANSWER_BYTES = 1_024

/** Resolves once a person, or what is piped in, says yes. Errors: `declined`; `invalid_input` where nobody is there to answer. */
export async function confirm(context: CommandContext, question: string): Promise<void> {
  const { terminal } = context
  terminal.note(`${terminal.paintNote('bold', question)} [y/N]`)
  const answer = await readLine(context.input())
  if (answer === undefined) throw invalidInput('nobody is there to say yes', 'With --yes nothing is asked.')
  if (!/^y(es)?$/i.test(answer.trim())) throw new WalhookError('declined', 'nothing was done')
}

/** Undefined where the input ends without one. */
async function readLine(input: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, chunk])
    const end = bytes.indexOf('\n')
    if (end !== -1) return bytes.subarray(0, end).toString()
    if (bytes.length > LONGEST_ANSWER_BYTES) break
  }
  return bytes.length === 0 ? undefined : bytes.toString()
}
